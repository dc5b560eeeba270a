"""A component is a folder: a script, a style, and the Python that says what is drawn."""

from pathlib import Path

HERE = Path(__file__).parent
LINK = (HERE / "link.js").read_text("utf-8")  # before every script that keeps what was chosen in the link


def assets(name: str) -> tuple[str, str]:
    """The script, behind element.js and link.js, and the style of the component in the folder of that name."""
    script, style = ((HERE / name / f"{name}.{kind}").read_text("utf-8") for kind in ("js", "css"))
    return (HERE / "element.js").read_text("utf-8") + LINK + script, style
