import streamlit as st

st.subheader("x")
