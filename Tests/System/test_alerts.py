# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The alerts for Prometheus: promtool is their judge, and each has its page."""

import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "examples/observability/prometheus/maild.rules.yml"
TESTS = RULES.with_name("maild.rules.test.yml")
RUNBOOKS = ROOT / "docs/runbooks"


def alerts():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def promtool(*arguments):
    run = subprocess.run(["promtool", *arguments], cwd=RULES.parent, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_promtool_takes_the_rules_and_their_tests():
    assert f"{len(alerts())} rules found" in promtool("check", "rules", RULES.name)
    assert "SUCCESS" in promtool("test", "rules", TESTS.name)


def test_every_alert_is_seen_to_fire_by_a_test():
    cases = [case for test in yaml.safe_load(TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    fired = {case["alertname"] for case in cases if case["exp_alerts"]}
    assert fired == {rule["alert"] for rule in alerts()}


def test_every_alert_says_what_it_is_and_has_its_page():
    names = {rule["alert"] for rule in alerts()}
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]
        assert rule["annotations"]["runbook"] == f"docs/runbooks/{rule['alert']}.md"
        page = (RUNBOOKS / f"{rule['alert']}.md").read_text()
        assert page.startswith(f"# {rule['alert']}: ") and "\n## Look\n" in page and "\n## Mend\n" in page
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == names | {"README"}
    assert set(re.findall(r"\[(Maild\w+)\]", (RUNBOOKS / "README.md").read_text())) == names


def test_the_rules_name_only_what_maild_exports(maild):
    lines = maild().start().http("/metrics")[2].splitlines()
    exported = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    for rule in alerts():
        for name in re.findall(r"\b(?:maild|process|worker)_\w+", rule["expr"]):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in exported or name in exported, (rule["alert"], name)
