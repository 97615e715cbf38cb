"""Values that a key does not have."""

import pytest

from research.core.errors import UserError, check_choice


def test_choice():
    check_choice("noise.name", "a", ("a", "b"))
    with pytest.raises(UserError, match="noise.name is one of a, b, not 'c'"):
        check_choice("noise.name", "c", ("a", "b"))
