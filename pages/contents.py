"""The table of contents: every lesson, in its section."""

from copy import copy

import streamlit as st

st.set_page_config(page_title="Vitrine", page_icon="pages/shared/icon.svg", layout="wide")


@st.cache_resource(show_spinner=False)
def sections() -> dict[str, list[st.Page]]:
    """The lessons of each section: looked for on the disk once, and not at every word that is typed."""
    return {
        "": [
            st.Page("start/home.py", title="Home", icon=":material/home:", default=True),
            st.Page("start/knows.py", title="What it knows", icon=":material/school:"),
        ],
        "Language": [st.Page("language/word2vec.py", title="Word2Vec", icon=":material/scatter_plot:")],
        "Transformer": [
            st.Page("language/tokens.py", title="Tokens", icon=":material/content_cut:"),
            st.Page("language/embeddings.py", title="Embeddings", icon=":material/explore:"),
            st.Page("transformer/attention.py", title="Attention", icon=":material/hub:"),
            st.Page("transformer/hand.py", title="Attention by hand", icon=":material/calculate:"),
            st.Page("transformer/scale.py", title="Scale and mask", icon=":material/balance:"),
            st.Page("interpretability/known.py", title="Known heads", icon=":material/biotech:"),
            st.Page("transformer/block.py", title="The block", icon=":material/layers:"),
            st.Page("transformer/gpt.py", title="The whole GPT", icon=":material/account_tree:"),
            st.Page("interpretability/scalpel.py", title="Scalpel", icon=":material/surgical:"),
            st.Page("interpretability/zoo.py", title="Head zoo", icon=":material/pets:"),
            st.Page("interpretability/compare.py", title="Compare", icon=":material/compare_arrows:"),
            st.Page("interpretability/lens.py", title="Lens", icon=":material/search:"),
            st.Page("transformer/positions.py", title="Positions", icon=":material/format_list_numbered:"),
            st.Page("decoding/sampling.py", title="Sampling", icon=":material/casino:"),
            st.Page("decoding/generation.py", title="Generation", icon=":material/stacks:"),
        ],
    }


# Copies, since a run marks the page that it opens.
st.navigation({title: [*map(copy, pages)] for title, pages in sections().items()}, position="top").run()
