"""A beam search, as it is sent and written."""

import math

import numpy as np

from tests.node import run
from viz.components import beam_search
from viz.percent import percent


def test_the_path_to_the_best_beam_is_marked() -> None:
    steps = [
        [(0, " a", True, -0.5, -0.5), (0, "\n", False, -1, -1), (0, "<b>", True, -2, -2)],
        [(1, " c", True, -0.1, -1.1), (0, " d", True, -1, -1.5), (1, " e", True, -3, -4)],
    ]
    drawn = beam_search.data(" x", steps, width=2)
    assert drawn["root"] == "·x" and drawn["width"] == 2
    cells = [cell for column in drawn["columns"] for cell in column]
    assert [cell["text"] for cell in cells] == ["·a", "⏎", "<b>", "⏎·c", "·a·d", "⏎·e"]
    assert [cell["kept"] for cell in cells] == [True, True, False] * 2
    assert [cell["best"] for cell in cells] == [False, True, False, True, False, False]
    assert [cell["typable"] for cell in cells] == [True, False, True, False, True, False]  # with all before it


def test_a_candidate_is_written_with_its_probability_and_the_total_of_its_text() -> None:
    """1,000 random candidates, against Python."""
    random = np.random.default_rng(0)
    candidates = [
        {"text": f"·t{n}", "log_p": log_p, "total": log_p + before, "kept": n % 2 == 0, "best": n % 3 == 0}
        for n, (log_p, before) in enumerate(zip(-random.exponential(3, 1000), -random.exponential(20, 1000)))
    ]
    for candidate, shown in zip(candidates, run("beam_search", "cases.map(describe)", cases=candidates), strict=True):
        share = percent(math.exp(candidate["log_p"]))
        total = f"{candidate['total']:.2f}".replace("-", "−")
        kind = "best" if candidate["best"] else "kept" if candidate["kept"] else "dropped"
        place = "on the best path" if candidate["best"] else kind
        about = f"{place}: “{candidate['text']}”, P of this token {share}, total {total} nats"
        assert shown == {"kind": kind, "line": f"{share}  {total}", "about": about}


def test_a_click_on_a_candidate_sends_its_step_and_row() -> None:
    first = [(0, "a", True, -0.5, -0.5), (0, "b", True, -1, -1)]
    steps = [first, [(1, "c", True, -0.1, -1.1), (0, "d", False, -1, -1)]]
    script = """(() => {
        const sent = [];
        const nodes = draw(900, data, (...message) => sent.push(message)).all((child) => child.tag === "button");
        nodes.forEach((node) => node.onclick());
        return [sent, nodes.map((node) => node.disabled), nodes.map((node) => parseFloat(node.style.top))];
    })()"""
    sent, disabled, tops = run("beam_search", script, data=beam_search.data("x", steps, 1))
    assert sent == [["taken", place] for place in ([0, 0], [0, 1], [1, 0], [1, 1])]
    assert disabled == [False, False, False, True]
    assert tops[0] == tops[2] and tops[1] == tops[3] > tops[0] + 54  # the line between kept and dropped
