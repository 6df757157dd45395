"""Writes databases for tests/sqlite.rs with Python's own sqlite3.

    python3 crates/data/tests/reference/sqlite.py
"""

import gzip
import sqlite3
from pathlib import Path

HERE = Path(__file__).parent.parent
GOLDEN = HERE / "golden" / "sqlite"
HOSTILE = HERE / "hostile"


def create(path, script, rows=()):
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA page_size = 1024;" + script)
    for statement, values in rows:
        connection.execute(statement, values)
    connection.commit()
    connection.close()


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    HOSTILE.mkdir(parents=True, exist_ok=True)
    create(
        GOLDEN / "two tables.db",
        """
        CREATE TABLE zoo (id INTEGER PRIMARY KEY, name TEXT, weight REAL, picture BLOB, note);
        CREATE TABLE "odd ""name" (k TEXT PRIMARY KEY, "table" INTEGER) WITHOUT ROWID;
        CREATE INDEX by_name ON zoo (name);
        CREATE VIEW heavy AS SELECT name FROM zoo WHERE weight > 1;
        CREATE TABLE empty (x);
        """,
        [
            ("INSERT INTO zoo VALUES (?, ?, ?, ?, ?)", (9223372036854775807, "Grüße 😀", 0.1, b"\x00\xff", None)),
            ("INSERT INTO zoo VALUES (?, ?, ?, ?, ?)", (-5, "a\nb", 5e300, b"", "text")),
            ("INSERT INTO zoo VALUES (?, ?, ?, ?, ?)", (7, None, float("inf"), None, 42)),
            ('INSERT INTO "odd ""name" VALUES (?, ?)', ("b", 2)),
            ('INSERT INTO "odd ""name" VALUES (?, ?)', ("a", 1)),
        ],
    )
    (GOLDEN / "packed.sqlite.gz").write_bytes(gzip.compress((GOLDEN / "two tables.db").read_bytes(), mtime=0))
    whole = HOSTILE / "whole.db"
    create(whole, "CREATE TABLE t (a TEXT);", [("INSERT INTO t VALUES (?)", (f"row {i} " * 20,)) for i in range(100)])
    data = bytearray(whole.read_bytes())
    whole.unlink()
    (HOSTILE / "truncated.sqlite").write_bytes(data[: len(data) // 2])
    for at in range(3000, len(data) - 100, 977):
        data[at : at + 60] = bytes([at % 251]) * 60
    (HOSTILE / "corrupt_pages.sqlite").write_bytes(data)
    (HOSTILE / "not_a_database.sqlite").write_bytes(b"SQLite format 2\0" + bytes(2000))
    # A row that takes forever: a view over an endless query.
    create(HOSTILE / "endless.db", """
        CREATE TABLE fine (a); INSERT INTO fine VALUES (1);
        CREATE VIEW endless AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT max(i) FROM n;
    """)
    create(HOSTILE / "not_utf8.db", "CREATE TABLE t (a TEXT);", [
        ("INSERT INTO t VALUES (CAST(? AS TEXT))", (b"\xff\xfe",)), ("INSERT INTO t VALUES (?)", ("fine",))])
