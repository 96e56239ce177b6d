"""The benchmarks' statistics: quartiles, the noise rule, clipped means, marks, the order of runs, versions."""

import math
import pathlib
import random
import sys
import tempfile
import unittest
import unittest.mock

sys.path.insert(0, sys.argv.pop(1))
import analysis
import counts
import journal
import measure
import peers
import report


def results(figures, base=None, ours=()):
    """Results of figures[workload][peer], a list with a time for each round."""
    runs = [{"workload": workload, "peer": peer, "round": number + 1, "seconds": value} if value is not None else
            {"workload": workload, "peer": peer, "round": number + 1, "error": "failed"}
            for workload, row in figures.items() for peer, values in row.items() for number, value in enumerate(values)]
    names = list(next(iter(figures.values())))
    rounds = len(next(iter(next(iter(figures.values())).values())))
    described = [{"name": name, "ours": name in ours, "missing": None} for name in names]
    return analysis.Results({"peers": described, "settings": {"rounds": rounds}, "runs": runs, "missing": {}}, base)


def wrong_alarms(rounds, trials=4000):
    """How often the rule reports a difference between equal allocators with 5 % of normal noise."""
    chance = random.Random(1)
    seen = sum(analysis.Comparison(tuple(math.exp(chance.gauss(0, 0.05)) for _ in range(rounds))).differs
               for _ in range(trials))
    return seen / trials


class Statistics(unittest.TestCase):
    """The numbers of one comparison."""

    def test_quartiles_lie_between_the_values(self):
        self.assertEqual(analysis.quartiles([5, 1, 3, 2, 4]), (2, 3, 4))
        self.assertEqual(analysis.quartiles([4, 1, 2]), (1.5, 2, 3))
        self.assertEqual(analysis.quartiles([7]), (7, 7, 7))

    def test_a_clear_difference_is_outside_the_noise(self):
        self.assertTrue(analysis.Comparison((0.80, 0.82, 0.81)).differs)
        self.assertTrue(analysis.Comparison((1.25, 1.21, 1.23)).differs)

    def test_a_difference_that_is_as_wide_as_its_quartiles_is_noise(self):
        self.assertFalse(analysis.Comparison((0.90, 0.99, 1.05)).differs)
        self.assertFalse(analysis.Comparison((0.70, 0.90, 0.98)).differs)

    def test_less_than_one_percent_is_noise_even_if_steady(self):
        self.assertFalse(analysis.Comparison((1.005,) * 9).differs)
        self.assertTrue(analysis.Comparison((1.02,) * 9).differs)

    def test_two_rounds_tell_nothing(self):
        self.assertFalse(analysis.Comparison((0.5, 0.5)).differs)

    def test_equal_allocators_seldom_differ(self):
        for rounds, limit in ((3, 0.13), (5, 0.13), (7, 0.06), (15, 0.05)):
            self.assertLess(wrong_alarms(rounds), limit, f"{rounds} rounds")

    def test_more_rounds_see_smaller_differences(self):
        chance = random.Random(2)
        ratios = tuple(math.exp(chance.gauss(0.03, 0.03)) for _ in range(40))
        self.assertFalse(analysis.Comparison(ratios[:3]).differs)
        self.assertTrue(analysis.Comparison(ratios).differs)


class Means(unittest.TestCase):
    """Ratios and means over workloads."""
    figures = {"a": {"glibc": [1, 2, 4], "x": [2, 4, 8]}, "b": {"glibc": [40, 40, 40], "x": [1, 1, 1]}}

    def test_ratios_are_taken_within_a_round(self):
        found = results({"a": {"glibc": [1, 10, 100], "x": [2, 20, 210]}})
        self.assertEqual(found.comparison("a", "x", "seconds", "glibc").ratios, (2, 2, 2.1))

    def test_the_plain_mean_has_the_whole_ratio(self):
        mean = results(self.figures).mean("x", "seconds", ["a", "b"], "glibc")
        self.assertAlmostEqual(mean, math.sqrt(2 / 40))

    def test_the_clipped_mean_is_carried_by_no_single_workload(self):
        found = results(self.figures)
        self.assertAlmostEqual(found.mean("x", "seconds", ["a", "b"], "glibc", clipped=True), 1)
        self.assertAlmostEqual(found.mean("glibc", "seconds", ["a", "b"], "x", clipped=True), 1)

    def test_a_mean_round_by_round(self):
        found = results({"a": {"glibc": [1, 1], "x": [2, 4]}, "b": {"glibc": [1, 1], "x": [8, 4]}})
        self.assertEqual([round(mean, 9) for mean in found.round_means("x", "seconds", ["a", "b"], "glibc")], [4, 4])

    def test_a_failure_takes_the_workload_from_the_mean_and_is_listed(self):
        found = results({"a": {"glibc": [1, 1], "x": [2, 2]}, "b": {"glibc": [1, 1], "x": [None, 2]}})
        self.assertEqual(found.complete("seconds"), ["a"])
        self.assertEqual(list(found.failures()), [("b", "x", 1, 2, "failed")])

    def test_who_can_do_nothing_takes_nothing_from_the_mean(self):
        found = results({"a": {"glibc": [1, 1], "x": [2, 2], "broken": [None, None]}})
        self.assertEqual(found.complete("seconds"), ["a"])
        self.assertEqual(found.able("seconds"), ["glibc", "x"])

    def test_the_best_peer_is_none_of_ours(self):
        found = results({"a": {"glibc": [2], "x": [3], "mems": [1]}}, ours=["mems"])
        self.assertEqual(found.reference("a", "seconds"), "glibc")
        self.assertEqual(found.ratios("a", "seconds")["mems"], 0.5)


class Marks(unittest.TestCase):
    """What the text says about differences."""
    noisy = {"glibc": [10, 11, 12], "x": [10.1, 10.8, 12.2], "y": [20, 22, 24]}

    def test_the_lowest_alone_has_a_star(self):
        found = results({"a": {"glibc": [10, 10, 10], "x": [8, 8, 8]}})
        self.assertEqual(report.marks(found.lowest("a", "seconds")), {"x": "*"})

    def test_lowest_that_noise_does_not_tell_apart_are_equal(self):
        found = results({"a": self.noisy})
        self.assertEqual(report.marks(found.lowest("a", "seconds")), {"glibc": "=", "x": "="})

    def test_too_few_rounds_have_no_mark_and_say_so(self):
        found = results({"a": {"glibc": [10, 10], "x": [8, 8]}})
        self.assertEqual(found.lowest("a", "seconds"), set())
        self.assertIn("cannot tell", "".join(report.legend(found)))

    def test_only_a_star_is_coloured(self):
        self.assertEqual(report.coloured("  1.00= 0.80* 2.00 "), "  1.00= \033[1;34m0.80*\033[0m 2.00 ")


class Order(unittest.TestCase):
    """Who runs when."""

    def test_two_allocators_take_turns_in_going_first(self):
        self.assertEqual(["".join(measure.in_turn(["A", "B"], turn)) for turn in range(4)], ["AB", "BA", "BA", "AB"])

    def test_everybody_is_everywhere(self):
        names = list("ABCDE")
        for place in range(len(names)):
            there = [measure.in_turn(names, turn)[place] for turn in range(2 * len(names))]
            self.assertEqual(sorted(there), sorted(2 * names))


class Limit(unittest.TestCase):
    """How many rounds fit into the time."""

    def rounds(self, minutes, seconds):
        """How many of 9 rounds begin, if each of their 2 workloads takes `seconds`."""
        now = [0]
        with unittest.mock.patch("time.monotonic", lambda: now[0]):
            limit = measure.TimeLimit(minutes)
            for number in range(1, 10):
                for _ in range(2):
                    if not limit.allows(number):
                        return number - 1
                    now[0] += seconds
        return 9

    def test_a_round_that_would_end_too_late_does_not_begin(self):
        self.assertEqual(self.rounds(10, 60), 5)
        self.assertEqual(self.rounds(9.9, 60), 4)

    def test_the_first_round_always_begins(self):
        self.assertEqual(self.rounds(1, 600), 1)

    def test_without_a_limit_all_rounds_are_measured(self):
        self.assertEqual(self.rounds(None, 600), 9)


class Texts(unittest.TestCase):
    """What is read from files and tools."""

    def test_the_version_beside_a_library_is_shown_and_no_path(self):
        with tempfile.TemporaryDirectory() as folder:
            library = pathlib.Path(folder, "libx.so.3")
            library.write_bytes(b"x")
            named = peers.parsed(f"glibc x={library},option=1 y={library}")
            self.assertEqual([peer.name for peer in named], ["glibc", "x", "y"])
            self.assertEqual(named[1].options, "option=1")
            self.assertEqual(named[1].version, f"libx.so.3 {named[1].sha256}")
            pathlib.Path(folder, "libx.so.3.version").write_text("x 3.1 commit 0123abc\nmore\n", encoding="utf-8")
            peer = peers.parsed(f"glibc,x={library}")[1]
            self.assertEqual(peer.version, "x 3.1 commit 0123abc")
            self.assertNotIn(folder, str(peer.described()))
            self.assertEqual(report.peer_line(peer.described()),
                             f"  x           x 3.1 commit 0123abc (SHA-256 {peer.sha256})")

    def test_the_total_of_strace_with_and_without_errors(self):
        rule = "------ ----------- ----------- --------- --------- ----------------\n"
        self.assertEqual(counts.system_calls(rule + "100.00    0.000296           1       157         5 total\n"), 157)
        self.assertEqual(counts.system_calls(rule + "100.00    0.000296           1       157           total\n"), 157)
        self.assertRaises(measure.Failed, counts.system_calls, "")

    def test_what_has_changed_is_named(self):
        before = {"peers": {"a": {"sha256": "1", "options": None}}, "settings": {"rounds": 3}}
        after = {"peers": {"a": {"sha256": "2", "options": None}}, "settings": {"rounds": 3}}
        self.assertEqual(list(journal.differences(before, after)), ['peers, a, sha256: "1" is now "2"'])


unittest.main(argv=[sys.argv[0], "--verbose"])
