"""A component is a folder: a script, a style, and the Python that says what is drawn."""

from pathlib import Path

HERE = Path(__file__).parent
# Before every script: what makes elements, keeps what was chosen in the link, and writes probabilities.
ELEMENT, LINK, PERCENT = ((HERE / f"{name}.js").read_text("utf-8") for name in ("element", "link", "percent"))


def assets(name: str) -> tuple[str, str]:
    """The script, behind the shared ones, and the style of the component in the folder of that name."""
    script, style = ((HERE / name / f"{name}.{kind}").read_text("utf-8") for kind in ("js", "css"))
    return ELEMENT + LINK + PERCENT + script, style
