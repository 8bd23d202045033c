# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The library that writes metrics, by itself: whatever is registered and recorded, Prometheus' own parsers read back
what was meant. Metrics are thought up at random; a failure names the seed."""

import math
import random
import subprocess
import time

import pytest
from maild import ROOT
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

ECHO = ROOT / ".build/release/exposition-echo"
FIRST = "abcXYZ_:"
LATER = FIRST + "0189"
TEXTS = ["", "a", " ", "\\", '"', "\n", "\\n", "ü", "名", "{", "}", ",", "=", "#", "\t", "\r", "\x00", "\x7f", "😀", "le"]
NUMBERS = [0.0, 1.0, -1.0, 0.1, 1e-300, 1e300, 2.0**53, 2.0**53 + 2, -2.5, math.inf, -math.inf, math.nan, 5e-324]


def word(text):
    return "x" + text.encode().hex()


def words(texts):
    return ",".join(word(text) for text in texts) or "-"


def same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


class Thought:
    """A registry, thought up from a seed: the commands that make it, and the samples that it must expose."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.commands, self.samples, self.families = [], {}, {}
        for number in range(self.random.randrange(1, 8)):
            self._family(number)
        self.commands.append("render")

    def _name(self, first, later):
        # With a number at its end no two are alike, and no suffix of a histogram's can come about.
        return self.random.choice(first) + "".join(self.random.choices(later, k=self.random.randrange(12)))

    def _text(self):
        return "".join(self.random.choices(TEXTS, k=self.random.randrange(6)))

    def _family(self, number):
        kind = self.random.choice(["counter", "gauge", "histogram"])
        name = f"{self._name(FIRST, LATER)}z{number}" + ("_total" if kind == "counter" else "")
        labels = [f"{self._name('abcXY', 'abcXY_019')}{index}" for index in range(self.random.randrange(4))]
        help = f"h{self._text()}h"
        self.families[name] = (kind, help)
        bounds = sorted({self.random.choice([self.random.uniform(0, 5), self.random.randrange(100) / 4])
                         for _ in range(self.random.randrange(1, 6))})
        more = " " + ",".join(repr(bound) for bound in bounds) if kind == "histogram" else ""
        self.commands.append(f"{kind} {word(name)} {word(help)} {words(labels)}{more}")
        for _ in range(self.random.randrange(1, 5)):
            values = [self._text() for _ in labels]
            for _ in range(self.random.randrange(1, 4)):
                self._record(kind, number, name, labels, values, bounds)

    def _record(self, kind, number, name, labels, values, bounds):
        key = tuple(sorted(zip(labels, values)))
        if kind == "gauge":
            amount = self.random.choice([self.random.choice(NUMBERS), self.random.gauss(0, 1e6)])
            self.samples[name, key] = amount
        elif kind == "counter":
            amount = self.random.randrange(2**40)
            self.samples[name, key] = self.samples.get((name, key), 0) + amount
        else:
            amount = self.random.randrange(0, 30)
            for bound in [*bounds, math.inf]:
                bucket = (f"{name}_bucket", tuple(sorted([*key, ("le", bound)])))
                self.samples[bucket] = self.samples.get(bucket, 0) + (amount <= bound)
            for suffix, step in (("_sum", amount), ("_count", 1)):
                self.samples[name + suffix, key] = self.samples.get((name + suffix, key), 0) + step
        self.commands.append(f"to {number} {words(values)} {amount!r}")


def read_back(families):
    """{(name, labels): value}, with bounds as numbers, and {name: (type, help)}."""
    samples, heads = {}, {}
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        heads[name] = (family.type, family.documentation)
        for sample in family.samples:
            labels = {key: float(value) if key == "le" and family.type == "histogram" else value
                      for key, value in sample.labels.items()}
            key = (sample.name, tuple(sorted(labels.items())))
            assert key not in samples, f"{key} came twice"
            samples[key] = sample.value
    return samples, heads


def exposed(thoughts):
    """Both formats of each."""
    script = "".join(command + "\n" for thought in thoughts for command in thought.commands)
    run = subprocess.run([ECHO], input=script.encode(), capture_output=True, check=True, timeout=60)
    rest, texts = run.stdout, []
    while rest:
        length, rest = rest.split(b"\n", 1)
        texts.append(rest[:int(length)].decode())
        rest = rest[int(length):]
    assert len(texts) == 2 * len(thoughts)
    return list(zip(texts[::2], texts[1::2]))


SEEDS = [*range(300), *(time.time_ns() + number for number in range(100))]
"""The same ones at each run, and new ones."""


def test_whatever_is_recorded_is_read_back_by_prometheus_own_parsers():
    thoughts = [Thought(seed) for seed in SEEDS]
    for seed, thought, (text, openmetrics) in zip(SEEDS, thoughts, exposed(thoughts)):
        for parse, written in ((parse_text, text), (parse_openmetrics, openmetrics)):
            about = f"seed {seed}, {parse.__module__}:\n{written}"
            try:
                samples, heads = read_back(parse(written))
            except Exception as error:
                raise AssertionError(about) from error
            assert samples.keys() == thought.samples.keys(), about
            wrong = {key: (value, samples[key]) for key, value in thought.samples.items()
                     if not same(value, samples[key])}
            assert not wrong, (wrong, about)
            assert heads == thought.families, about


def test_promtool_can_read_it_too():
    thoughts = [Thought(seed) for seed in SEEDS[:40]]
    for seed, (text, _) in zip(SEEDS, exposed(thoughts)):
        checked = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True)
        # 3: it has a word to say on the names, which are none that anybody would choose.
        assert checked.returncode in (0, 3) and b"error" not in checked.stderr, (seed, checked.stderr, text)


@pytest.mark.parametrize("wrong", ["counter x61 x61 -", "gauge x2d x61 -", "gauge x61 x61 x6c65"])
def test_what_prometheus_could_not_read_cannot_be_registered(wrong):
    run = subprocess.run([ECHO], input=(wrong + "\n").encode(), capture_output=True, timeout=60)
    assert run.returncode != 0
