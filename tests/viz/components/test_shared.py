"""The kit that all components share."""

import numpy as np
import pytest

from tests.node import run
from viz.components.component import NAMES, assets, pack
from viz.percent import percent

KEYED = "new LinkState(['row', 'top'], suffix)"


def test_every_component_has_a_script_a_style_and_the_kit() -> None:
    assert len(NAMES) == 14
    for name in NAMES:
        files = assets(name)
        assert (
            files["js"].count("class LinkState") == files["js"].count("export default function") == 1 and files["css"]
        )


def test_a_share_is_written_as_a_percentage_as_python_writes_it() -> None:
    """1,000 random shares of all sizes, and those at the edges."""
    random = np.random.default_rng(0)
    shares = [*random.uniform(-1, 1, 500), *(10.0 ** random.uniform(-9, 0, 485)), 0, 1, -1, 0.001, 0.0009999]
    shares += [0.0025, 0.125, -0.125, 0.0005, 0.99999, 0.9995, 0.00005, 0.005, 0.995, 1e-300]
    written = run("next_words", "[0, 1, 2].map((n) => shares.map((share) => percent(share, n)))", shares=shares)
    assert written == [[percent(share, n) for share in shares] for n in range(3)]
    assert len(shares) == 1000 and run("next_words", "percent(NaN)") == percent(float("nan")) == "–"


@pytest.mark.parametrize("text", ["", "é", "abc", "abcd", "the \N{GRINNING FACE}"])
def test_a_binary_message_arrives_whatever_the_length_of_its_header(text: str) -> None:
    numbers = np.array([0.5, -3, 1e-3], "<f4")
    message = pack({"text": text, "n": [1, None]}, numbers.tobytes())
    there = "(({ header, body }) => [header, [...new Float32Array(body.buffer)]])"
    offset = "Uint8Array.from([9, ...message]).subarray(1)"  # as a view into a longer buffer
    header, body = run("next_words", f"{there}(unpack({offset}))", message=[*message])
    assert header == {"text": text, "n": [1, None]} and body == numbers.tolist()


def test_a_bar_is_as_long_as_its_share() -> None:
    widths = run("next_words", "[0, 0.25, 1].map((share) => bar(share).style.width)")
    assert widths == ["0%", "25%", "100%"]


def test_a_minus_sign_takes_the_place_of_the_hyphen() -> None:
    assert run("next_words", "[minus('-0.50'), minus('0.50')]") == ["−0.50", "0.50"]


def test_a_host_is_made_once_and_drawn_in_again() -> None:
    script = """((parent) => {
        const first = host(parent, "lens", "many");
        return [first === host(parent, "lens", false), parent.children.length, first.className];
    })(element("div"))"""
    assert run("next_words", script) == [True, 1, "lens"]


@pytest.mark.parametrize("suffix", ["", "2"])
def test_the_link_is_read_until_something_is_chosen(suffix: str) -> None:
    script = f"""((link) => {{
        window.location.search = "?row=1&row2=2";
        const read = [link.get("row"), link.get("top")];
        link.set({{ row: 7 }});
        window.location.search = "?row=1&row2=2";
        return [...read, link.get("row")];
    }})({KEYED})"""
    assert run("next_words", script, suffix=suffix) == [suffix or "1", None, "7"]


def test_a_choice_is_written_again_after_the_server_has_overwritten_the_link() -> None:
    script = f"""((link) => {{
        window.location.href = "http://localhost/?prompt=a&top=30";
        link.set({{ row: 7, top: null }});
        const chosen = window.location.search;
        window.location.href = "http://localhost/?prompt=b&row=3&top=50";
        link.restore();
        return [chosen, window.location.search];
    }})({KEYED})"""
    assert run("next_words", script, suffix="") == ["?prompt=a&row=7", "?prompt=b&row=7"]


def test_a_second_picture_keeps_its_own_keys_in_the_link() -> None:
    script = """(() => {
        const [first, second] = ["", "2"].map((suffix) => new LinkState(["row"], suffix));
        first.set({ row: 1 });
        second.set({ row: 2 });
        window.location.href = "http://localhost/";
        second.restore();
        return [first.get("row"), second.get("row"), window.location.search];
    })()"""
    assert run("next_words", script) == ["1", "2", "?row2=2"]
