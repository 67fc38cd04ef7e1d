"""A network's shape from one number."""

import math
from itertools import pairwise

import pytest
from engram_runtime.config import CSA, HCA, ModelConfig
from engram_runtime.shapes import expected_shapes

WIDTHS = (128, 192, 256, 320, 384, 512)


def test_the_default_shape_is_one_of_the_dial_s() -> None:
    assert ModelConfig.of_width(256) == ModelConfig()


def test_a_wider_network_is_a_larger_one() -> None:
    sizes = [sum(map(math.prod, expected_shapes(ModelConfig.of_width(width)).values())) for width in WIDTHS]
    assert all(smaller < larger for smaller, larger in pairwise(sizes))
    assert sizes[-1] > 20 * sizes[0]


@pytest.mark.parametrize("width", WIDTHS[1:])
def test_every_width_has_all_kinds_of_attention_and_what_other_engines_ask_for(width: int) -> None:
    config = ModelConfig.of_width(width)
    assert {CSA, HCA} <= set(config.layer_types)
    assert (config.hc_mult, config.index_head_dim, config.compress_rate_csa, config.compress_rate_hca) == (
        4,
        64,
        4,
        128,
    )


@pytest.mark.parametrize("width", [0, 64, 100, -256])
def test_a_width_that_cannot_be_cut_into_heads_is_refused(width: int) -> None:
    with pytest.raises(ValueError, match=str(width)):
        ModelConfig.of_width(width)
