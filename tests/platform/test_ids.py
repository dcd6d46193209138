"""Identities are unique, in order, and well-formed; the derived one tells its parts apart."""

import os
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122

from hypothesis import given
from hypothesis import strategies as st

from mainstem.platform.ids import event_uid, uuid7

texts = st.text(max_size=8)


def test_new_ids_are_version_7_in_order_and_unique() -> None:
    made = [uuid7() for _ in range(20_000)]
    assert {(one.version, one.variant) for one in made} == {(7, RFC_4122)}
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_threads_never_get_the_same_id() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = [one for part in pool.map(lambda _: [uuid7() for _ in range(5_000)], range(4)) for one in part]
    assert len(set(made)) == len(made)


def test_a_forked_process_makes_ids_of_its_own() -> None:
    read, write = os.pipe()
    uuid7()
    pid = os.fork()
    if pid == 0:
        os.write(write, b"".join(uuid7().bytes for _ in range(200)))
        os._exit(0)
    ours = {uuid7().bytes for _ in range(200)}
    os.waitpid(pid, 0)
    theirs = os.read(read, 3_200)
    assert len(theirs) == 3_200
    assert not ours & {theirs[start : start + 16] for start in range(0, 3_200, 16)}
    os.close(read)
    os.close(write)


@given(st.tuples(st.integers(1, 9), texts, texts), st.tuples(st.integers(1, 9), texts, texts))
def test_different_messages_have_different_ids(one, other) -> None:
    assert (event_uid(*one) == event_uid(*other)) is (one == other)
    assert event_uid(*one).version == 8
