"""Writes tables as Parquet and Arrow files, and their rows as JSON, for tests/table.rs.

    python3 -m venv venv && venv/bin/pip install pyarrow==26.0.1
    venv/bin/python crates/data/tests/reference/table.py

The expected rows come from pyarrow reading the files back. JSON has no type for dates, decimals and bytes: they are
written as the loaders' documentation says, from Python's own values.
"""

import base64
import datetime
import decimal
import json
import math
import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq

HERE = Path(__file__).parent.parent
GOLDEN = HERE / "golden" / "table"
HOSTILE = HERE / "hostile"


def plain(value, kind):
    """The value as JSON has it; `kind` tells what Python's type does not."""
    if value is None:
        return None
    if pa.types.is_dictionary(kind):
        return plain(value, kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [plain(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        return {field.name: plain(value[field.name], field.type) for field in kind}
    if pa.types.is_map(kind):
        items = dict(value).items()
        return {key if isinstance(key, str) else json.dumps(key): plain(item, kind.item_type) for key, item in items}
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        digits = "milliseconds" if value.microsecond and value.microsecond % 1000 == 0 else "auto"
        if value.tzinfo is None:
            return value.isoformat(timespec=digits)
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None).isoformat(timespec=digits) + "Z"
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        seconds = value / datetime.timedelta(seconds=1)
        return f"PT{seconds:g}S" if seconds >= 0 else f"-PT{-seconds:g}S"
    return value


def types():
    """A table with a column for every type, and nulls in each."""
    utc = datetime.timezone.utc
    moment = datetime.datetime(2024, 2, 29, 23, 59, 59)
    columns = {
        "boolean": pa.array([True, False, None]),
        "int8": pa.array([-128, 127, None], pa.int8()),
        "int16": pa.array([-32768, 32767, None], pa.int16()),
        "int32": pa.array([-(2**31), 2**31 - 1, None], pa.int32()),
        "int64": pa.array([-(2**63), 2**63 - 1, None], pa.int64()),
        "uint8": pa.array([0, 255, None], pa.uint8()),
        "uint64": pa.array([0, 2**64 - 1, None], pa.uint64()),
        "float16": pa.array([0.5, -65504.0, None], pa.float16()),
        "float32": pa.array([0.1, float("-inf"), None], pa.float32()),
        "float64": pa.array([0.1, float("nan"), 5e-324], pa.float64()),
        "text": pa.array(["Grüße, 世界 😀", "", None]),
        "large_text": pa.array(["a\nb\0c", None, '"'], pa.large_string()),
        "binary": pa.array([b"\x00\xff", b"", None], pa.binary()),
        "fixed": pa.array([b"abc", b"\x00\x01\x02", None], pa.binary(3)),
        "decimal": pa.array([decimal.Decimal("123.4500"), decimal.Decimal("-0.0001"), None], pa.decimal128(20, 4)),
        "long_decimal": pa.array([decimal.Decimal(10**50), None, decimal.Decimal(-7)], pa.decimal256(60, 0)),
        "date": pa.array([datetime.date(1969, 12, 31), datetime.date(9999, 12, 31), None]),
        "time": pa.array([datetime.time(1, 2, 3), datetime.time(23, 59, 59, 999999), None], pa.time64("us")),
        "seconds": pa.array([moment, datetime.datetime(1, 1, 1), None], pa.timestamp("ms")),
        "micros": pa.array([moment.replace(microsecond=5), None, moment], pa.timestamp("us")),
        "zoned": pa.array([moment.replace(tzinfo=utc), None, moment.replace(tzinfo=utc, microsecond=250000)],
                          pa.timestamp("us", tz="Europe/Berlin")),
        "duration": pa.array([datetime.timedelta(seconds=1.5), datetime.timedelta(seconds=-3), None], pa.duration("ms")),
        "list": pa.array([[1, None, 3], [], None], pa.list_(pa.int64())),
        "vector": pa.array([[1.0, 2.0], [0.25, -1.5], None], pa.list_(pa.float32(), 2)),
        "struct": pa.array([{"a": 1, "b": ["x"]}, {"a": None, "b": None}, None],
                           pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))])),
        "messages": pa.array([[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}], [], None]),
        "map": pa.array([[("k", 1), ("l", None)], [], None], pa.map_(pa.string(), pa.int64())),
        "category": pa.array(["x", "y", None]).dictionary_encode(),
        "nothing": pa.nulls(3),
    }
    return pa.table(columns)


def rows(table):
    kinds = {field.name: field.type for field in table.schema}
    return [{name: plain(value, kinds[name]) for name, value in row.items()} for row in table.to_pylist()]


def many():
    """Rows over several row groups and batches, with long and repeated texts."""
    return pa.table({
        "id": pa.array(range(1200), pa.int64()),
        "text": [f"row {i % 7} " * (i % 5) for i in range(1200)],
        "tags": [[f"t{j}" for j in range(i % 4)] for i in range(1200)],
    })


def write(name, table, expected):
    (GOLDEN / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in expected), "utf-8")
    return table


def parquet_and_arrow():
    table = types()
    write("types.jsonl", table, rows(table))
    # Parquet itself has no durations: they come back through the Arrow schema that pyarrow stores.
    for compression in ["snappy", "zstd", "gzip", "lz4", "brotli"]:
        pq.write_table(table.slice(0, 3), GOLDEN / f"types.{compression}.parquet", compression=compression)
    pq.write_table(table, GOLDEN / "types.v2.parquet", data_page_version="2.0", use_dictionary=False,
                   column_encoding={"text": "DELTA_BYTE_ARRAY", "int64": "DELTA_BINARY_PACKED"})
    for compression in [None, "lz4", "zstd"]:
        options = pa.ipc.IpcWriteOptions(compression=compression)
        name = compression or "none"
        with pa.ipc.new_file(GOLDEN / f"types.{name}.arrow", table.schema, options=options) as writer:
            writer.write_table(table, max_chunksize=2)
    with pa.ipc.new_stream(GOLDEN / "types.stream.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    table = many()
    pq.write_table(table, GOLDEN / "many.parquet", row_group_size=500, data_page_size=2000)
    pa.feather.write_feather(table, GOLDEN / "many.feather", chunksize=512)
    write("many.jsonl", table, rows(table))


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def zeros(count):
    return pa.Array.from_buffers(pa.int8(), count, [None, pa.py_buffer(bytes(count))])


def hostile():
    good = (GOLDEN / "many.parquet").read_bytes()
    (HOSTILE / "truncated.parquet").write_bytes(good[: len(good) // 2])
    (HOSTILE / "headless.parquet").write_bytes(b"PAR0" + good[4:8] + good[-8:])
    (HOSTILE / "footer_too_long.parquet").write_bytes(good[:100] + struct.pack("<I", 2**31) + b"PAR1")
    (HOSTILE / "encrypted.parquet").write_bytes(b"PARE" + good[4:20] + b"PARE")
    # Row groups of 500 rows that say they have 8191, as Thrift writes these numbers.
    more = good.replace(b"\x16\xe8\x07", b"\x16\xfe\x7f")
    assert more != good
    (HOSTILE / "more_rows.parquet").write_bytes(more)
    # A schema that nests five thousand deep: each element is a struct of a name and one child.
    deep = 5_000
    element = b"\x48\x01a" + b"\x15\x02" + b"\x00"
    schema = b"\x15\x02" + b"\x19\xfc" + varint(deep) + element * deep + b"\x00"
    schema = schema.replace(b"\x48\x01a\x15\x02\x00", b"\x35\x02\x18\x01a\x15\x02\x00")
    (HOSTILE / "deep.parquet").write_bytes(b"PAR1" + schema + struct.pack("<I", len(schema)) + b"PAR1")
    # Four hundred million zeros in a page of a few thousand bytes: the header says so, and it is true.
    bomb = pa.table({"a": [b"\0" * 200_000_000] * 2})
    pq.write_table(bomb, HOSTILE / "bomb.parquet", compression="zstd", use_dictionary=False, write_statistics=False,
                   compression_level=19)
    # A dictionary whose one long value comes in every row.
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 5000, pa.int32()), pa.array(["x" * 20_000_000]))
    pq.write_table(pa.table({"a": repeated}), HOSTILE / "repeated.parquet", compression="zstd", write_statistics=False,
                   dictionary_pagesize_limit=2**30, compression_level=19)
    # A few kilobytes that say ten million times what takes a kilobyte, in either format.
    constant = pa.DictionaryArray.from_arrays(zeros(10_000_000), pa.array(["x" * 1000]))
    constant = pa.table({"a": constant})
    pq.write_table(constant, HOSTILE / "constant.parquet", compression="zstd", write_statistics=False, row_group_size=10_000_000,
                   data_page_size=2**30)
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(HOSTILE / "constant.arrow", constant.schema, options=options) as writer:
        writer.write_table(constant)
    arrow = (GOLDEN / "types.none.arrow").read_bytes()
    (HOSTILE / "truncated.arrow").write_bytes(arrow[: len(arrow) // 2])
    (HOSTILE / "footer_too_long.arrow").write_bytes(arrow[:64] + struct.pack("<I", 2**31 - 1) + b"ARROW1")
    stream = (GOLDEN / "types.stream.arrow").read_bytes()
    (HOSTILE / "truncated_stream.arrow").write_bytes(stream[:-8])
    (HOSTILE / "huge_head.arrow").write_bytes(b"\xff\xff\xff\xff\xff\xff\xff\x7f" + stream[8:200])
    # A compressed buffer that says it unpacks to 2^62 bytes.
    packed = bytearray((GOLDEN / "types.lz4.arrow").read_bytes())
    at = packed.find(b"\x04\x22\x4d\x18") - 8
    packed[at : at + 8] = struct.pack("<q", 2**62)
    (HOSTILE / "huge_buffer.arrow").write_bytes(packed)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("n", pa.null())])) as writer:
        writer.write_batch(pa.record_batch([pa.nulls(7777)], names=["n"]))
    endless = sink.getvalue().to_pybytes().replace(struct.pack("<q", 7777), struct.pack("<q", 2**40))
    (HOSTILE / "endless.arrow").write_bytes(endless)


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    HOSTILE.mkdir(parents=True, exist_ok=True)
    parquet_and_arrow()
    hostile()
