import numpy as np

from restock.simulation.catalogue import create_catalogue
from restock.simulation.chain import create_chain
from restock.simulation.streams import Stream, random_stream


def test_random_stream_equals_the_spawned_child_of_its_number():
    children = np.random.SeedSequence(5).spawn(len(Stream))
    for stream in Stream:
        expected = np.random.default_rng(children[stream]).random(4)
        assert random_stream(5, stream).random(4).tolist() == expected.tolist()


def test_random_stream_more_draws_elsewhere_do_not_move_it():
    def catalogue_after(n_stores: int) -> tuple[str, ...]:
        catalogue = create_catalogue(20, 200, rng=random_stream(1, Stream.CATALOGUE))
        create_chain(n_stores, catalogue, rng=random_stream(1, Stream.CHAIN))
        return create_chain(2, catalogue, rng=random_stream(1, Stream.PRICES)).location, catalogue.name

    assert catalogue_after(1) == catalogue_after(50)
