"""A small component is a folder: a script, a style, and the Python that says what is drawn."""

from pathlib import Path

HERE = Path(__file__).parent


def assets(name: str) -> tuple[str, str]:
    """The script and the style of the component in the folder of that name; element.js stands before the script."""
    script, style = ((HERE / name / f"{name}.{kind}").read_text("utf-8") for kind in ("js", "css"))
    return (HERE / "element.js").read_text("utf-8") + script, style
