"""Tokens: how a text is cut into pieces before a model reads it."""

import streamlit as st

from model.language.tokenization import from_merges, learn_merges, merge_steps, pre_tokenize, token_bytes
from pages.shared import components, controls, lesson, models, prose
from pages.shared.compute import language, readings
from viz.components.token_cuts import label
from viz.tokens import visible

PROSE = prose.of(__file__)
TEXTS = PROSE.examples("examples-texts")
DRAWN, STEPPED, LEARNED = 600, 40, 400  # characters that are drawn, of a word that is stepped through; merges to learn

YOURS = "yours"
PER = {
    "in all": lambda tokens, text: tokens,
    "per word between spaces": lambda tokens, text: (
        round(tokens / len(text.split()), 2) if " " in text.strip() else None
    ),
    "per character": lambda tokens, text: round(tokens / len(text), 2),
}


def spaces_shown(word: str) -> str:
    """A word as it is drawn elsewhere."""
    return visible([word])[0]


lesson.title(PROSE)
model, text = controls.ask_model_and_prompt(PROSE.examples())
name = model.name
picture = st.container()
beside = controls.gpt2_tokenizer() if model.card else {models.NAMES[0]: models.load(models.NAMES[0]).tokenizer}
tokenizers = {name: model.tokenizer} | beside

left, right = st.columns(2, gap="large")
with right:
    PROSE.section("learn")
    corpus = controls.text_area("Text to learn from", TEXTS["Woodchucks"].prompt, key="corpus", height=110)
    count = st.slider("Merges", 0, LEARNED, 15, key="merges", bind="query-params")
    if len(corpus) > language.STUDIED:
        st.warning(f"The merges are learned from the first {language.STUDIED:,} of {len(corpus):,} characters.")
    learned = language.learn_merges(corpus, count)
    if len(learned) < count:
        st.info(f"After {len(learned)} merges no pair of neighbors occurs twice: more merges need a longer text.")
    rows = [
        {"merge": n, "left": label(pair[0]), "right": label(pair[1]), "together": label(b"".join(pair)), "times": times}
        for n, (pair, times) in enumerate(learned, 1)
    ]
    st.dataframe(rows[::-1], hide_index=True, height=213)
    tokenizers[YOURS] = from_merges([pair for pair, _ in learned])
with left:
    PROSE.section("merges")
    whose = controls.choice("Tokenizer", list(tokenizers), name, key="tokenizer")
    if whose == YOURS:
        known = {pair: rank for rank, (pair, _) in enumerate(learned)}
    else:
        known = language.merge_ranks(whose, tokenizers[whose])
    words = list(dict.fromkeys(word[:STEPPED] for word in pre_tokenize(tokenizers[whose], text[:DRAWN])))
    longest = words.index(max(words, key=len))
    word = st.selectbox("Word", words, longest, key="word", bind="query-params", format_func=spaces_shown)
    if len(word) == STEPPED:
        st.caption(f"You see the first {STEPPED} characters of a longer word.")
    steps = merge_steps(tokenizers[whose], known, word)
    components.bpe_merges(word, [(step.rank, step.id, step.symbols) for step in steps])

with picture:
    shown = text[:DRAWN]
    ids = {whose: tokenizer.encode(shown).ids for whose, tokenizer in tokenizers.items()}
    components.token_cuts(
        shown, [(whose, [token_bytes(tokenizers[whose], id) for id in cut], cut) for whose, cut in ids.items()]
    )
    if len(text) > DRAWN:
        st.caption(f"You see the first {DRAWN} of {len(text):,} characters.")
    used, limit = len(model.tokenizer.encode(text).ids), model.decoder.config.block_size
    size = f"{len(text.split()):,} words ({len(text):,} characters, {len(text.encode()):,} bytes)"
    lost = f": the first {used - limit:,} are not read." if used > limit else "."
    holds = f"The context of {prose.literal(name)} holds {limit:,}{lost}"
    st.progress(min(1.0, used / limit), f"**{used:,} tokens** from {size}. {holds}")

PROSE.section("languages")
table, costs = st.columns([2, 3], gap="large")
with table:
    lines = controls.text_area(
        "Texts, one on each line, after the name of its language",
        TEXTS["One sentence in nine languages"].prompt,
        key="languages",
        height=320,
    )
    if len(lines) > readings.MAX_CHARACTERS:
        st.warning(f"The first {readings.MAX_CHARACTERS:,} of these {len(lines):,} characters are counted.")
    parts = [line.partition(":") for line in lines[: readings.MAX_CHARACTERS].splitlines()]
    texts = {name.strip(): (text or name).strip() for name, _, text in parts if name.strip()}
with costs:
    per = controls.choice("Tokens", list(PER), "in all", key="per")
    rows = [
        {"language": spoken}
        | {whose: PER[per](len(tokenizer.encode(sentence).ids), sentence) for whose, tokenizer in tokenizers.items()}
        for spoken, sentence in texts.items()
    ]
    st.dataframe(rows, hide_index=True, height="content")

lesson.close(PROSE, merge_steps, learn_merges)
