import pytest

from viz.numbers import decimal


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(-1.005, 1, "−1.0"), (0.004, 2, "0.00"), (-0.004, 2, "0.00"), (-0.006, 2, "−0.01"), (float("nan"), 2, "nan")],
)
def test_a_decimal_has_a_true_minus_sign_and_zero_has_none(value: float, decimals: int, text: str) -> None:
    assert decimal(value, decimals) == text
