"""net: learns what no linear model can, counts weights, repeats itself."""

import numpy as np
from scipy.sparse import csr_matrix

from tests.train import net

CASES = csr_matrix(np.array([[1, 0], [0, 1], [1, 1], [0, 0.1]], np.float32).repeat(200, axis=0))
EXCLUSIVE = np.array([True, True, False, False]).repeat(200)


def test_the_hidden_layer_learns_what_excludes_each_other() -> None:
    weight = np.ones(800)
    rows = csr_matrix(np.kron(np.ones((40, 1)), CASES.toarray()).astype(np.float32))
    trained = net.train(rows, np.tile(EXCLUSIVE, 40), np.tile(weight, 40), hidden=16, seed=1, first_word=0)
    one, other, both, _ = trained.margins(csr_matrix(np.array([[1, 0], [0, 1], [1, 1], [0, 0.1]], np.float32)))
    assert min(one, other) > both


def test_weights_count() -> None:
    rows = csr_matrix(np.ones((2000, 1), np.float32))
    attack = np.tile([True, False], 1000)
    light = net.train(rows, attack, np.where(attack, 0.1, 1.0), hidden=2, seed=1, first_word=0)
    heavy = net.train(rows, attack, np.where(attack, 1.0, 0.1), hidden=2, seed=1, first_word=0)
    assert light.margins(rows)[0] < heavy.margins(rows)[0]


def test_a_seed_gives_one_net() -> None:
    first, second = (net.train(CASES, EXCLUSIVE, np.ones(800), hidden=4, seed=3, first_word=0) for _ in range(2))
    assert (first.inner == second.inner).all()
    assert first.bias == second.bias
