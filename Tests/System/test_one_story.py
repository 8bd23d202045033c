# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Metrics, journal, watchers, the page and `mailctl show` tell of the same jobs, and must tell the same."""

import json
import re
from collections import Counter
from datetime import datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text
from smtp_judge import to_recipients
from submission import job
from test_verbs import submit
from test_watch import watch  # noqa: F401 (a fixture)
from waiting import until

ENDS = {"delivered", "failed", "expired", "cancelled"}
ATTEMPTS = {"delivered", "deferred", "failed"}
WORDS = {"to be tried again": "retried"}
"""Events that the log says in other words."""
SAID = re.compile(
    r"[0-9A-Z]{13}(?: to [0-9A-Z]{13})? (?P<word>[a-z ]+?)(?: from uid \d+| by uid (?P<by>\d+))?(?::| job=| kind=)")
VERBS = {"held": "hold", "released": "release", "retried": "retry", "cancelled": "cancel"}
TRACE = "0af7651916cd43dd8448eb211c80319c"


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Told:
    """One event of a job's life, by whoever told of it. Equal are those that tell the same."""

    def __init__(self, event, at, replies=(), by=None):
        self.event, self.at, self.replies, self.by = event, at, sorted(replies), by

    def __repr__(self):
        return f"{self.event} {self.replies} {self.by or ''}".strip()


def reply(code, enhanced, text):
    return " ".join(str(part) for part in (code, enhanced, text) if part)


def fates(entry):
    return [(fate["recipient"], fate["verdict"], reply(fate["code"], fate["enhanced"], fate["text"]))
            for fate in entry.get("fates", [])]


class Lives:
    """A maild whose jobs have lived in every way, and what each teller has said of them."""

    def __init__(self, one, names, events):
        self.one, self.names, self.events = one, names, events
        self.shown = {name: one.show(name) for name in names}
        self.metrics = list(parse_text(one.http("/metrics")[2]))
        self.page = json.loads(one.http("/status.json")[2])
        self.log = [line for line in one.log().splitlines() if " job=" in line]

    def by_watch(self, name):
        told = [Told(event["event"], moment(event["at"]), fates(event), event.get("by")) for event in self.events
                if event.get("job") == name and event["event"] != "attempted"]
        # Acceptance is told by another thread than attempts are, and may come after the first of these.
        return sorted(told, key=lambda one: one.event != "accepted")

    def by_show(self, name):
        shown = self.shown[name]
        told = [Told("accepted", moment(shown["job"]["accepted_at"]))]
        tries = [entry for entry in shown["history"] if entry["event"] == "attempt"]
        for entry in shown["history"]:
            if entry["event"] == "attempt":
                told.append(Told(self._result(entry, entry is tries[-1], shown), moment(entry["at"]) + entry["seconds"],
                                 fates(entry)))
            else:
                told.append(Told(entry["event"], moment(entry["at"]), by=entry.get("by")))
        if not told[-1].event == shown["job"]["state"] and "finished_at" in shown:
            told.append(Told(shown["job"]["state"], moment(shown["finished_at"])))
        return told

    @staticmethod
    def _result(entry, is_last, shown):
        """What an attempt made of the job: told by its verdicts."""
        verdicts = {fate["verdict"] for fate in entry["fates"]}
        if "deferred" in verdicts:
            return "deferred"
        return "failed" if "rejected" in verdicts else "delivered"

    def by_log(self, name):
        told = []
        for line in self.log:
            if not re.search(rf" job={name}( |$)", line):
                continue
            at, _, text = line.split(" ", 2)
            found = SAID.match(text)
            assert found, line
            told.append(Told(WORDS.get(found["word"], found["word"]), moment(at), by=found["by"] and int(found["by"])))
            told[-1].line = line
        return sorted(told, key=lambda one: one.event != "accepted")

    def metric(self, name, **labels):
        return sum(sample.value for family in self.metrics for sample in family.samples
                   if sample.name == name and labels.items() <= sample.labels.items())


@pytest.fixture
def lives(maild, judge, watch):  # noqa: F811
    replies = {"later@example.com": "451 4.7.1 later", "gone@example.com": "550 5.1.1 gone"}
    server = judge(script=to_recipients(replies))
    one = maild(
        workers=3, relay=server.settings(), retry={"first_seconds": 0.05, "wait_seconds_max": 0.2},
        queue={"bulk": {"weight": 2}, "slow": {"weight": 1}}).start()
    watcher = watch(one)
    one.control.call("Pause", queue="slow")
    [good, twice, later, gone, half, again] = submit(
        one, job(), job(to=["a@example.com", "b@example.com"], queue="bulk"),
        job(to="later@example.com", queue="bulk", traceparent=f"00-{TRACE}-b7ad6b7169203331-01"),
        job(to="gone@example.com", queue="bulk"), job(to=["a@example.com", "gone@example.com"]),
        job(to="gone@example.com"))
    [dropped, kept, late] = submit(
        one, job(delay=3600, queue="bulk"), job(queue="slow"), job(queue="slow", expires_at=soon()))
    one.wait_for_counts(failed=3)
    one.wait_for_state(later, "scheduled", "ready", "running")
    until(lambda: one.show(later)["history"], "it was deferred once")
    one.control.call("Cancel", ids=[dropped])
    one.control.call("Hold", ids=[kept])
    replies.clear()
    one.control.call("Retry", ids=[again])
    one.control.call("Release", ids=[kept])
    until(lambda: moment(one.show(late)["expires_at"]) < datetime.now().timestamp(), "its time has run out")
    one.control.call("Resume", queue="slow")
    names = [good, twice, later, gone, half, again, dropped, kept, late]
    ended = {good: "delivered", twice: "delivered", later: "delivered", gone: "failed", half: "failed",
             again: "delivered", dropped: "cancelled", kept: "delivered", late: "expired"}
    for name, state in ended.items():
        one.wait_for_state(name, state)
    # A last event that everybody has heard of, so that nothing is under way.
    [last] = submit(one, job())
    one.wait_for_state(last, "delivered")
    events = []
    while not any(event.get("job") == last and event["event"] == "delivered" for event in events) or not any(
            event.get("job") == last and event["event"] == "accepted" for event in events):
        events.append(watcher.event())
    until(lambda: re.search(rf"{last} delivered", one.log()) and re.search(rf"{last} accepted", one.log()), "the log")
    return Lives(one, [*names, last], events)


def soon():
    """So far from now that a slow machine accepts the job before."""
    return datetime.fromtimestamp(datetime.now().timestamp() + 4).astimezone().isoformat()


def test_every_job_has_the_same_story_by_watch_log_and_show(lives):
    for name in lives.names:
        by_show, by_watch, by_log = lives.by_show(name), lives.by_watch(name), lives.by_log(name)
        story = [told.event for told in by_show]
        assert [told.event for told in by_watch] == story, (name, by_watch, by_show)
        assert [told.event for told in by_log] == story, (name, by_log, by_show)
        for shown, watched, logged in zip(by_show, by_watch, by_log):
            assert watched.replies == shown.replies, name
            assert watched.by == shown.by == logged.by, name
            # An id's time is that of the commit's beginning; the others are those of their telling.
            for told in (watched, logged):
                assert abs(told.at - shown.at) < 2, (name, shown, told.at, shown.at)
            if shown.replies:
                assert any(text in logged.line for _, _, text in shown.replies), (logged.line, shown.replies)
                assert any(who in logged.line for who, _, _ in shown.replies)


def test_the_stories_are_those_that_were_lived(lives):
    stories = [[told.event for told in lives.by_show(name)] for name in lives.names]
    assert stories[0] == stories[1] == ["accepted", "delivered"]
    assert stories[2][:2] == ["accepted", "deferred"] and stories[2][-1] == "delivered"
    assert stories[3] == stories[4] == ["accepted", "failed"]
    assert stories[5] == ["accepted", "failed", "retried", "delivered"]
    assert stories[6] == ["accepted", "cancelled"] and stories[8] == ["accepted", "expired"]
    assert stories[7] == ["accepted", "held", "released", "delivered"]


def test_the_printed_page_of_a_job_has_every_event_with_its_time_and_replies(lives):
    for name in lives.names:
        printed = lives.one.mailctl("show", name).stdout
        for entry in lives.shown[name]["history"]:
            assert entry["at"] in printed
            for who, verdict, text in fates(entry):
                assert re.search(rf"{verdict} +{re.escape(who)} +{re.escape(text)}", printed), (who, text, printed)
        assert lives.shown[name]["job"]["accepted_at"] in printed and "accepted from uid" in printed
        assert lives.shown[name]["job"]["state"] in printed


def test_the_counters_are_the_numbers_of_events(lives):
    queue_of = {name: lives.shown[name]["job"]["queue"] for name in lives.names}
    told = [(name, event) for name in lives.names for event in lives.by_watch(name)]
    completed = Counter((queue_of[name], event.event) for name, event in told if event.event in ENDS)
    accepted = Counter(queue_of[name] for name, event in told if event.event == "accepted")
    attempts = Counter(event.event for _, event in told if event.event in ATTEMPTS)
    verbs = Counter(event.event for _, event in told if event.by is not None)
    begun = Counter(event["event"] for event in lives.events if event["event"] == "attempted")
    for queue in ("default", "bulk", "slow"):
        assert lives.metric("maild_jobs_accepted_total", queue=queue, type="email") == accepted[queue] > 0
        for outcome in ENDS:
            counted = lives.metric("maild_jobs_completed_total", queue=queue, type="email", outcome=outcome)
            assert counted == completed[queue, outcome], (queue, outcome)
    for result in ("delivered", "deferred", "failed"):
        assert lives.metric("maild_job_attempts_total", type="email", result=result) == attempts[result], result
    for event, verb in VERBS.items():
        assert lives.metric("maild_jobs_operated_total", verb=verb) == verbs[event] > 0, verb
    number = sum(attempts.values())
    assert lives.metric("worker_jobs_processed_total") == begun["attempted"] == number
    for name in ("worker_jobs_process_time_seconds_count", "maild_job_duration_seconds_count"):
        assert lives.metric(name) == number
    assert lives.metric("maild_job_end_to_end_seconds_count") == sum(completed.values())
    assert number == sum(len(lives.shown[name]["history"]) for name in lives.names) - sum(verbs.values())


def test_page_status_and_metrics_have_the_same_numbers(lives):
    page, status = lives.page, lives.one.status()
    assert page["accepted"] == status["accepted_total"] == lives.metric("maild_jobs_accepted_total") == len(lives.names)
    for mine, its, outcome in (
            ("delivered", "delivered_total", "delivered"), ("gone_failed", "failed_total", "failed")):
        assert page[mine] == status[its] == lives.metric("maild_jobs_completed_total", outcome=outcome)
    assert page["attempts"] == lives.metric("worker_jobs_processed_total")
    for state in ("ready", "running", "scheduled", "held", "failed"):
        assert page["jobs"][state] == status["counts"][state] == lives.metric("maild_jobs", state=state), state
        for queue in page["queues"]:
            assert queue[state] == lives.metric("maild_jobs", state=state, queue=queue["name"]), (state, queue)
    assert [queue["name"] for queue in page["queues"]] == [queue["name"] for queue in status["queues"]]
    [gone, half] = [name for name in lives.names if lives.shown[name]["job"]["state"] == "failed"]
    failures = [failure["job"] for failure in page["failures"]]
    expired = [name for name in lives.names if lives.shown[name]["job"]["state"] == "expired"]
    assert set(failures) == {gone, half, lives.names[5], *expired}, "what failed, whatever became of it later"


def test_the_trace_leads_to_the_same_story(lives):
    [traced] = [name for name in lives.names if "traceparent" in lives.shown[name]]
    lines = [line for line in lives.log if f"trace_id={TRACE}" in line]
    assert sorted(lines) == sorted(told.line for told in lives.by_log(traced))
    assert all(" queue=bulk " in line for line in lines)
