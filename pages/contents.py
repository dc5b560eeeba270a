"""The table of contents: every lesson, in its section."""

import streamlit as st

st.set_page_config(page_title="Vitrine", page_icon="pages/shared/icon.svg", layout="wide")
st.navigation(
    {
        "": [st.Page("start/home.py", title="Home", icon=":material/home:", default=True)],
        "Transformer": [st.Page("transformer/attention.py", title="Attention", icon=":material/hub:")],
    },
    position="top",
).run()
