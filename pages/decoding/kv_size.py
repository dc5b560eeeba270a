"""The size of the KV cache: the memory of the keys and values of a text, in this model and in well-known ones."""

import streamlit as st

from model.decoding import kv_cache
from model.transformer import parameter_count
from model.transformer.config import DecoderConfig
from pages.shared import controls, lesson, prose

PROSE = prose.of(__file__)
CACHED_TOKENS = [2**n for n in range(9, 18)]  # 512 to 131,072


def table_row(name: str, config: DecoderConfig, tokens: int, bytes_each: int) -> dict[str, str | float]:
    """The KV cache of one model, as a row of the table."""
    size = kv_cache.cache_size(config, tokens, bytes_each)
    return {
        "model": name,
        "2 · L · heads · size": f"2 · {config.n_layer} · {config.n_kv_head} · {config.head_size}",
        "kB a token": round(size.bytes_per_token / 1e3, 1),
        "tokens": size.tokens,
        "MB kept": round(size.bytes / 1e6, 1),
        "MB if no heads shared": round(size.bytes_unshared / 1e6, 1),
        "MB of the weights": round(size.weight_bytes / 1e6, 1),
    }


lesson.title(PROSE)
left, middle, right = st.columns([3, 2, 1], gap="large", vertical_alignment="bottom")
with right:
    model = controls.ask_model()
config = model.decoder.config
tokens = left.select_slider(
    "Tokens kept", CACHED_TOKENS, 8192, key="tokens", bind="query-params", format_func="{:,}".format
)
with middle:
    bytes_each = int(controls.choice("Bytes a number", ["4", "2", "1"], "2", key="each"))
configs = {model.name: config, **parameter_count.PRESETS}
rows = [table_row(name, sizes, tokens, bytes_each) for name, sizes in configs.items()]
_, _, *numbers = rows[0]
columns = {name: st.column_config.NumberColumn(format="localized") for name in numbers}
st.dataframe(rows, hide_index=True, column_config=columns)
size = kv_cache.cache_size(config, tokens, bytes_each)
group = config.n_head // config.n_kv_head
sharing = f"{group} query heads share each head of them" if group > 1 else "each query head has its own"
st.markdown(
    f"**{prose.literal(model.name)}** keeps {size.bytes_per_token / 1e3:,.1f} kB for each token: a key and a value in "
    f"each of its {config.n_layer} layers; {sharing}. {size.tokens:,} tokens take **{size.bytes / 1e6:,.1f} MB**, "
    f"{size.bytes / size.weight_bytes:.2g} times the memory of its weights."
)
PROSE.section("size")
lesson.close(PROSE, kv_cache.cache_size, type(config).kv_bytes)
