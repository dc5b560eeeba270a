"""A model of many layers and heads in a real browser: all of them at once, small enough to be seen."""

from collections.abc import Iterator

import pytest
import torch
from playwright.sync_api import Browser, expect

from model.language import tokenization
from model.loading import gpt2_format
from model.transformer.gpt2 import GPT2, GPT2Config
from tests.browser.conftest import start_server

LAYERS, HEADS = 24, 16


@pytest.fixture(scope="module")
def many(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an app that offers a model with the layers and heads of GPT-2 medium, under a long name."""
    folder = tmp_path_factory.mktemp("many") / "a-model-with-a-long-name"
    torch.manual_seed(0)
    tokenizer = tokenization.train_bpe(["the king and the queen of the land went to the sea"] * 9, 300)
    gpt2_format.save(GPT2(GPT2Config(tokenizer.get_vocab_size(), 64, LAYERS, HEADS, 32)), folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRINE_MODELS", str(folder))
        process, address = start_server(folder.parent)
    yield f"{address}/attention?model={folder.name}&prompt=the king and the queen of the land&layer=0&head=0"
    process.terminate()
    process.wait(20)


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_all_heads_are_seen_at_once_and_each_can_be_picked(visitor: type, many: str, width: int) -> None:
    page = visitor(viewport={"width": width, "height": 900}).open(many).page
    main = page.locator("[data-testid=stMain]")
    assert main.evaluate("(it) => it.scrollWidth - it.clientWidth") == 0
    figure, canvas = page.locator(".all"), page.locator(".all canvas")
    assert figure.evaluate("(it) => it.scrollWidth - it.clientWidth") <= 1
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box["height"] <= 520  # less than a screen
    step = (box["height"] - 22) / (LAYERS + 1)
    page.mouse.click(box["x"] + 34 + 9.4 * step, box["y"] + 22 + 20.4 * step)
    expect(page.locator(".picked")).to_have_text("L20 H9")
    for key, name in (("ArrowDown", "L21 H9"), ("ArrowRight", "L21 H10"), ("m", "mean of all")):
        page.mouse.move(5, 5)
        page.locator(".vitrine").focus()
        page.keyboard.press(key)
        expect(page.locator(".picked")).to_have_text(name)
    expect(page.locator("[data-testid=stCaptionContainer]").first).to_have_text("a-model-with-a-long-name")
