"""Whatever is changed in a ledger afterwards is found and named."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ledger import Ledger
from gateway.ledger.format import ENVELOPE, Sealer
from gateway.ledger.reading import verify

KEY = b"k" * 32
KEYS = {"k1": KEY}
NOW = 1_800_000_000.0


async def write(directory: Path, starts: int, answers: int, *, key: bytes = KEY, key_id: str = "k1") -> list[Path]:
    """One slot's chains; returns their files."""
    files = []
    for start in range(starts):
        ledger = await Ledger.open(directory, "n1", key, key_id, now=NOW + start, reserve_bytes=0)
        for n in range(answers):
            await ledger.append({"kind": "answer", "n": n}, now=NOW + start)
        files.append(directory / f"{ledger.chain}.jsonl")
        await ledger.aclose()
    return files


def problems(directory: Path) -> list[tuple[str, int, str]]:
    return [(p.file, p.line, p.what) for p in verify(directory, KEYS).problems]


def change_lines(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


async def test_an_untouched_ledger_is_intact(tmp_path: Path) -> None:
    files = await write(tmp_path, starts=3, answers=4)
    progress: list[tuple[int, int]] = []
    found = verify(tmp_path, KEYS, lambda done, total: progress.append((done, total)))
    assert (found.chains, found.records, found.problems, found.notes) == (3, 18, [], [])
    size_bytes = sum(len(path.read_bytes()) for path in files)
    assert progress[-1] == (size_bytes, size_bytes)


async def test_a_flipped_byte_is_named_by_file_and_line(tmp_path: Path) -> None:
    _, second, _ = await write(tmp_path, starts=3, answers=4)
    data = second.read_bytes()
    second.write_bytes(data.replace(b'"n":2', b'"n":3', 1))
    assert problems(tmp_path) == [(second.name, 4, "changed: the seal does not fit the content")]


async def test_a_removed_line_is_named(tmp_path: Path) -> None:
    _, second, _ = await write(tmp_path, starts=3, answers=4)
    change_lines(second, lambda lines: lines[:2] + lines[3:])
    assert problems(tmp_path) == [(second.name, 3, "record 3 stands where 2 should: removed, added or moved")]


async def test_swapped_lines_are_named(tmp_path: Path) -> None:
    _, second, _ = await write(tmp_path, starts=3, answers=4)
    change_lines(second, lambda lines: [lines[0], lines[2], lines[1], *lines[3:]])
    assert [(file, line) for file, line, _ in problems(tmp_path)] == [
        (second.name, 2),
        (second.name, 3),
        (second.name, 4),
    ]


async def test_a_record_moved_from_another_chain_is_named(tmp_path: Path) -> None:
    first, second, _ = await write(tmp_path, starts=3, answers=4)
    foreign = first.read_bytes().splitlines(keepends=True)[2]
    change_lines(second, lambda lines: [*lines[:2], foreign, *lines[3:]])
    assert (second.name, 3, f"belongs to the chain {first.stem}") in problems(tmp_path)


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_a_removed_file_is_named(tmp_path: Path, which: int) -> None:
    files = await write(tmp_path, starts=3, answers=4)
    files[which].unlink()
    assert any(files[which].name in f"{file} {what}" for file, _, what in problems(tmp_path))


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("cut", ["in a record", "between records"])
async def test_a_truncated_file_is_named(tmp_path: Path, which: int, cut: str) -> None:
    files = await write(tmp_path, starts=3, answers=4)
    lines = files[which].read_bytes().splitlines(keepends=True)
    files[which].write_bytes(b"".join(lines[:4]) + (lines[4][:50] if cut == "in a record" else b""))
    assert files[which].name in {file for file, _, _ in problems(tmp_path)}


async def test_an_emptied_file_is_named(tmp_path: Path) -> None:
    files = await write(tmp_path, starts=2, answers=1)
    files[1].write_bytes(b"")
    assert (files[1].name, 0, "the file is empty") in problems(tmp_path)


@pytest.mark.parametrize("loss", ["records", "file"])
async def test_a_loss_is_still_known_after_the_next_start(tmp_path: Path, loss: str) -> None:
    _, last = await write(tmp_path, starts=2, answers=4)
    if loss == "file":
        last.unlink()
    else:
        change_lines(last, lambda lines: lines[:3])
    [third] = await write(tmp_path, starts=1, answers=1)
    assert third.stem.endswith("-2"), "no number is used twice"
    assert (third.name, 1, f"at this start record 5 of {last.name}, once acknowledged, was gone") in problems(tmp_path)


async def test_a_crash_after_the_mark_is_no_loss(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path, "n1", KEY, "k1", now=NOW, reserve_bytes=0)
    await ledger.append({"kind": "answer"}, now=NOW)
    await ledger.flush_counts(now=NOW)
    await ledger.append({"kind": "answer"}, now=NOW)
    assert problems(tmp_path) == []
    await ledger.aclose()


async def test_a_cut_behind_the_minute_s_mark_is_missed_without_an_orderly_end(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path, "n1", KEY, "k1", now=NOW, reserve_bytes=0)
    await ledger.append({"kind": "answer"}, now=NOW)
    await ledger.flush_counts(now=NOW)
    path = tmp_path / f"{ledger.chain}.jsonl"
    change_lines(path, lambda lines: lines[:1])
    assert problems(tmp_path) == [
        (path.name, 1, "the file ends before record 1, which the slot's mark says was written")
    ]
    await ledger.aclose()


async def test_a_record_in_flight_is_no_problem_while_its_writer_lives(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path, "n1", KEY, "k1", now=NOW, reserve_bytes=0)
    path = tmp_path / f"{ledger.chain}.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"v":1,"seq":1')
    assert problems(tmp_path) == []
    path.write_bytes(whole)
    await ledger.aclose()
    path.write_bytes(path.read_bytes() + b'{"v":1,"seq":1')
    assert problems(tmp_path) == [(path.name, 3, "torn: 14 bytes without an end")]


async def test_a_mark_that_is_gone_or_changed_is_named(tmp_path: Path) -> None:
    await write(tmp_path, starts=1, answers=1)
    mark = tmp_path / "n1-s0.mark"
    mark.write_bytes(mark.read_bytes().replace(b'"reached":2', b'"reached":1'))
    assert problems(tmp_path)[0][::2] == ("n1-s0.mark", "the mark's seal is wrong, or its key is not among those given")
    mark.unlink()
    assert problems(tmp_path) == [("n1-s0.mark", 0, "the slot's mark is missing")]


async def test_time_running_backwards_is_named(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path, "n1", KEY, "k1", now=NOW, reserve_bytes=0)
    await ledger.append({"kind": "answer"}, now=NOW - 1.5)
    await ledger.append({"kind": "answer"}, now=NOW - 4)
    await ledger.aclose()
    assert problems(tmp_path) == [(f"{ledger.chain}.jsonl", 3, "time runs backwards by 2.500 s")]


async def test_a_key_that_is_not_given_is_named(tmp_path: Path) -> None:
    await write(tmp_path, starts=1, answers=1)
    [second] = await write(tmp_path, starts=1, answers=0, key=b"n" * 32, key_id="k2")
    missing = "sealed with the key 'k2', which is not among those given"
    assert [p for p in problems(tmp_path) if p[0] == second.name] == [(second.name, n, missing) for n in (1, 2)]
    assert verify(tmp_path, {**KEYS, "k2": b"n" * 32}).problems == []


async def test_records_forged_without_the_key_are_named(tmp_path: Path) -> None:
    [path] = await write(tmp_path, starts=1, answers=1)
    last = orjson.loads(path.read_bytes().splitlines()[-1])
    forger = Sealer(key=b"other", key_id="k1", node="n1", chain=path.stem)
    line, _ = forger.seal(last["seq"] + 1, last["mac"], NOW, b'{"kind":"answer"}')
    path.write_bytes(path.read_bytes() + line)
    assert problems(tmp_path) == [(path.name, 4, "changed: the seal does not fit the content")]


def replace_line(path: Path, number: int, prev: str | None = None, **fields: object) -> None:
    """Seal one line anew with the right key, as only a mistake of the writer's or a restored copy could."""
    lines = path.read_bytes().splitlines(keepends=True)
    record = orjson.loads(lines[number - 1])
    body = {name: value for name, value in record.items() if name not in ENVELOPE} | fields
    sealer = Sealer(key=KEY, key_id="k1", node="n1", chain=path.stem)
    lines[number - 1], _ = sealer.seal(record["seq"], prev or record["prev"], record["now"], orjson.dumps(body))
    path.write_bytes(b"".join(lines))


async def test_a_rightly_sealed_line_with_a_wrong_link_is_named(tmp_path: Path) -> None:
    [path] = await write(tmp_path, starts=1, answers=3)
    replace_line(path, 5, prev="0" * 64)
    assert (path.name, 5, "does not follow the line before: the link is wrong") in problems(tmp_path)


async def test_another_end_than_the_marked_one_is_named(tmp_path: Path) -> None:
    [path] = await write(tmp_path, starts=1, answers=3)
    replace_line(path, 5, kind="answer")
    assert problems(tmp_path) == [(path.name, 5, "is not the record that the slot's mark names")]


async def test_a_start_that_follows_nothing_is_named(tmp_path: Path) -> None:
    first, second = await write(tmp_path, starts=2, answers=1)
    replace_line(second, 1, predecessor=None)
    found = problems(tmp_path)
    assert (second.name, 1, "the link is not the predecessor's head") in found
    assert (second.name, 1, f"names no predecessor, but {first.name} stands before it") in found


async def test_many_problems_are_all_counted_and_the_first_kept(tmp_path: Path) -> None:
    [path] = await write(tmp_path, starts=1, answers=1)
    path.write_bytes(path.read_bytes() + b"x\n" * 3000)
    found = verify(tmp_path, KEYS)
    assert (found.problems_in_all, len(found.problems), found.intact) == (3000, 1000, False)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.fixed_dictionaries({"kind": st.sampled_from(["answer", "refusal"]), "app": JSON, "persons": JSON})


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(RECORDS, max_size=4), min_size=1, max_size=3), st.data())
def test_any_sequence_verifies_and_any_single_mutation_is_found(
    starts: list[list[dict[str, object]]], data: st.DataObject
) -> None:
    async def write_all(directory: Path) -> None:
        for records in starts:
            ledger = await Ledger.open(directory, "n1", KEY, "k1", now=NOW, reserve_bytes=0)
            await asyncio.gather(*(ledger.append(record, now=NOW) for record in records))
            await ledger.aclose()

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        asyncio.run(write_all(directory))
        found = verify(directory, KEYS)
        assert (found.problems, found.notes) == ([], [])
        assert found.records == sum(len(records) + 2 for records in starts)
        for path in sorted(directory.glob("*.jsonl")):
            whole = path.read_bytes()
            for _ in range(12):
                path.write_bytes(data.draw(mutations(whole)))
                assert not verify(directory, KEYS).intact
            path.write_bytes(whole)


def mutations(whole: bytes) -> st.SearchStrategy[bytes]:
    """Every way to change one place: a byte for another, some bytes left out, some put in."""
    at = st.integers(0, len(whole) - 1)
    changed = st.builds(lambda i, x: whole[:i] + bytes([whole[i] ^ x]) + whole[i + 1 :], at, st.integers(1, 255))
    removed = st.builds(lambda i, n: whole[:i] + whole[i + n :], at, st.integers(1, 2000))
    added = st.builds(lambda i, new: whole[:i] + new + whole[i:], at, st.binary(min_size=1, max_size=20))
    return changed | removed | added
