"""Writes the hostile files that need no tool of their format: ../hostile/{archives,cards,json,names,texts,xml}.

    python hostile.py

The others are written by make_mail.py, make_pdf.py, office.py, sqlite.py and table.py. What must become of each file
stands in ../hostile/outcomes.txt. Files that are large by nature (a line of many megabytes) are made by the test.
The standard library is enough, and all files are the same at each run.
"""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import pathlib
import shutil
import struct
import tarfile
import zipfile

TESTS = pathlib.Path(__file__).parent.parent
GOLDEN, HOSTILE = TESTS / "golden", TESTS / "hostile"
LINES = b"".join(b'{"text":"row %d"}\n' % number for number in range(1000))
FEW = LINES[: LINES.index(b"row 60")].rpartition(b"\n")[0] + b"\n"
OUTSIDE = "outside_of_the_archive.txt"


# --- archives --------------------------------------------------------------------------------------------------------


def entry(name, mode=0o100644):
    made = zipfile.ZipInfo("x", (2024, 5, 1, 0, 0, 0))
    made.filename = name  # As it is: the constructor would mend it.
    made.external_attr = mode << 16
    made.create_system = 3
    made.compress_type = zipfile.ZIP_DEFLATED
    return made


def zipped(*entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for made, content in entries:
            archive.writestr(made if isinstance(made, zipfile.ZipInfo) else entry(made), content, compresslevel=9)
    return out.getvalue()


def tarred(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in entries:
            made = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                made.size = len(content)
                archive.addfile(made, io.BytesIO(content))
            else:
                made.type, made.linkname = content
                archive.addfile(made)
    return out.getvalue()


def zstd_run(length):
    """A frame in which each block of 4 bytes is 128 KiB of the letter `a`."""
    blocks = [struct.pack("<I", (1 << 17) << 3 | 1 << 1)[:3] + b"a"] * (length >> 17)
    blocks[-1] = struct.pack("<I", (1 << 17) << 3 | 1 << 1 | 1)[:3] + b"a"
    return b"\x28\xb5\x2f\xfd\x00\x38" + b"".join(blocks)


def zstd_raw(data):
    return b"\x28\xb5\x2f\xfd\x00\x38" + struct.pack("<I", len(data) << 3 | 1)[:3] + data


def overlapping(count):
    """Entries that all lie at the same place: each costs the list 60 bytes, and unpacks to a mebibyte."""
    first = zipped(("a000.txt", b"a" * (1 << 20)))
    start = first.index(b"PK\x01\x02")
    listed = first[start : first.index(b"PK\x05\x06")]
    listing = b"".join(listed.replace(b"a000.txt", b"a%03d.txt" % number) for number in range(count))
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(listing), start, 0)
    return first[:start] + listing + end


def nested(depth):
    data = zipped(("a.txt", "deep"))
    for _ in range(depth - 1):
        data = zipped(("in.zip", data))
    return data


def nested_bomb():
    """Each level holds the one below many times; each entry alone unpacks to no more than is usual."""
    data = zipped(*((f"{number:03}.txt", b"a" * (1 << 20)) for number in range(100)))
    for _ in range(2):
        data = zipped(*((f"{number:03}.zip", data) for number in range(20)))
    return data


def chunk(number):
    """Lines of which 280 KB are packed to 2 KB: a row, and white space."""
    digest = hashlib.sha512(b"%d" % number).hexdigest()
    texts = [hashlib.sha512(b"%d %d" % (number, part)).hexdigest() for part in range(24)]
    return b'{"text":"%s"}\n' % (digest + "".join(texts)).encode() + (b" " * 999 + b"\n") * 280


def alike(head=b"", tail=b""):
    """A gzip file of many pieces that are the same: 170 MB in 1.2 MB, which are packed to 10 KB once more."""
    pieces = [gzip.compress(head, mtime=0)] + [gzip.compress(chunk(0), mtime=0)] * 600 + [gzip.compress(tail, mtime=0)]
    return b"".join(pieces)


def idle_tar():
    """A packed archive whose one entry is no file, and long."""
    made = tarfile.TarInfo("a")
    made.type, made.size = b"V", 600 * len(chunk(0))
    return alike(made.tobuf(), b"\0" * (-made.size % 512 + 1024))


def patched(data, at, content):
    """Bytes with others at a place; a negative one counts from the end, as that of a ZIP file's last record."""
    at %= len(data)
    return data[:at] + content + data[at + len(content) :]


def archives():
    small = zipped(("a.jsonl", FEW), ("b.jsonl", FEW))
    listed = small.index(b"PK\x01\x02")
    row = tarred(("a.jsonl", FEW))
    packed = {"gz": gzip.compress(LINES, mtime=0), "bz2": bz2.compress(LINES), "xz": lzma.compress(LINES),
              "zst": zstd_raw(LINES)}
    for extension, data in packed.items():
        yield f"truncated.jsonl.{extension}", data[: len(data) * 2 // 3]
        yield f"damaged.jsonl.{extension}", patched(data, len(data) // 2, bytes(8))
    yield "truncated.zip", small[: len(small) // 2]
    yield "truncated.tar", row[:1500]
    yield "truncated.tar.gz", gzip.compress(row, mtime=0)[:-20]
    yield "bomb.txt.gz", gzip.compress(b"a" * 12_000_000, mtime=0)
    yield "bomb.txt.bz2", bz2.compress(b"a" * 400_000_000)
    yield "bomb.txt.xz", lzma.compress(b"a" * 60_000_000)
    yield "bomb.txt.zst", zstd_run(1 << 28)
    yield "bomb.tar.gz", gzip.compress(tarred(("a.txt", b"a" * 12_000_000)), mtime=0)
    yield "bomb.zip", zipped(("a.txt", b"a" * 12_000_000))
    yield "overlapping_bomb.zip", overlapping(400)
    yield "nested.zip", nested(5)
    yield "nested_bomb.zip", nested_bomb()
    # At no level is more unpacked than is usual.
    yield "packed_in.zip", zipped(("a.jsonl.gz", alike()))
    yield "packed_in_tar.zip", zipped(("a.tar", tarred(("a.jsonl.gz", alike()))))
    yield "packed_tar_in.zip", zipped(("a.tar.gz", idle_tar()))
    yield "packed_zip_in.zip", zipped(("a.zip.gz", alike(tail=zipped(("a.txt", "a")))))
    yield "packed_in.tar.gz", gzip.compress(tarred(("a.jsonl.gz", alike())), mtime=0)
    usual = b"".join(chunk(number) for number in range(20))
    for extension, data in {"bz2": bz2.compress(usual), "xz": lzma.compress(usual), "gz": gzip.compress(usual, mtime=0)}.items():
        yield f"usual_{extension}.zip", zipped((f"a.jsonl.{extension}", data))
    yield "lone.txt.gz.zip", zipped(("bomb.txt.gz", gzip.compress(b"a" * 12_000_000, mtime=0)))
    names = {"dotdot": f"../../{OUTSIDE}", "absolute": f"/tmp/{OUTSIDE}", "within": f"a/../../{OUTSIDE}",
             "windows": f"..\\..\\{OUTSIDE}", "drive": f"C:\\{OUTSIDE}", "share": f"\\\\host\\{OUTSIDE}"}
    for kind, name in names.items():
        yield f"{kind}.zip", zipped(("a.txt", "a"), (name, "outside"))
        yield f"{kind}.tar", tarred(("a.txt", b"a"), (name, b"outside"))
    yield "link.zip", zipped((entry("a.txt", 0o120777), "/etc/passwd"), (entry("d", 0o120777), "/tmp"), (f"d/{OUTSIDE}", "outside"))
    yield "link.tar", tarred(("a.txt", (tarfile.SYMTYPE, "/etc/passwd")), ("d", (tarfile.SYMTYPE, "/tmp")), (f"d/{OUTSIDE}", b"a"))
    yield "hard_link.tar", tarred(("a.txt", (tarfile.LNKTYPE, "/etc/passwd")), ("b.txt", b"b"))
    yield "devices.tar", tarred(("a.txt", (tarfile.CHRTYPE, "")), ("b.txt", (tarfile.FIFOTYPE, "")), ("c.txt", b"c"))
    yield "null_name.zip", zipped(("a.txt", "a")).replace(b"a.txt", b"a\0txt")
    yield "twice.zip", zipped(("a.txt", "a"), ("b.txt", "b")).replace(b"b.txt", b"a.txt")
    yield "folder_and_file.zip", zipped(("a.txt", "a"), ("a.txt/b.txt", "b"))
    yield "empty.zip", zipped()
    yield "count.zip", patched(small, -14, b"\xff\xff\xff\xff")
    yield "size.zip", patched(small, listed + 24, struct.pack("<I", 0xFFFFFFF0))
    yield "sum.zip", patched(small, listed + 16, b"\0\0\0\0")
    yield "encrypted.zip", patched(patched(small, 6, b"\1"), listed + 8, b"\1")
    yield "method.zip", patched(patched(small, 8, b"\x63"), listed + 10, b"\x63")
    yield "sum.tar", patched(row, 148, b"0000000")
    yield "size.tar", tar_size(row, b"77777777777\0")
    yield "negative_size.tar", tar_size(row, b"\xff" * 12)


def tar_size(row, size):
    """An entry of another size, with the checksum that it needs."""
    head = patched(patched(row[:512], 124, size), 148, b" " * 8)
    return patched(head, 148, b"%06o\0 " % sum(head)) + row[512:]


# --- cards of data sets ----------------------------------------------------------------------------------------------

YAML_LAUGHS = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)


def cards():
    files = lambda path: f"configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: '{path}'\n"
    matter = {"laughs": YAML_LAUGHS, "deep": "configs: " + "[" * 10_000 + "\n", "cycle": "configs: &a [*a]\n",
              "dotdot": files("../../json/*"), "absolute": files("/etc/passwd"), "stars": files("**/" * 200 + "*"),
              "type": "configs: 7\n", "null": "configs:\n- config_name: 'a\0b'\n"}
    for name, content in matter.items():
        yield f"{name}/README.md", f"---\n{content}---\nA data set.\n"
        yield f"{name}/train.jsonl", '{"text":"a"}\n'


# --- JSON ------------------------------------------------------------------------------------------------------------


def jsons():
    deep = "[" * 10_000
    objects = '{"a":' * 8_000
    yield "deep.json", deep + "]" * 10_000
    yield "deep_objects.json", objects + "1" + "}" * 8_000
    yield "deep_record.json", '[{"a":' + deep + "]" * 10_000 + "}]"
    yield "deep.jsonl", '{"a":1}\n{"a":' + deep + "]" * 10_000 + "}\n"
    yield "deep.ipynb", '{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":' + deep
    yield "deep.json3", '{"wireMagic":"pb3","events":[{"tStartMs":0,"segs":' + deep
    yield "telegram.json", '{"name":"a","type":"personal_chat","id":1,"messages":[{"id":1,"type":"message","text":' + deep
    yield "messenger.json", '{"participants":[{"name":"a"}],"messages":[{"sender_name":"a","timestamp_ms":1,"content":' + deep
    yield "discord.json", '{"guild":{"id":"1"},"channel":{"id":"1"},"messages":[{"id":"1","author":' + deep
    yield "tweets.js", 'window.YTD.tweets.part0 = [ {"tweet" : {"full_text" : ' + deep
    yield "open_string.json", '[{"a":"' + "x" * 40_000
    yield "commas.json", "[" + "," * 40_000
    yield "digits.jsonl", '{"a":' + "9" * 40_000 + "}\n"
    yield "exponent.jsonl", '{"a":1e999999999}\n'
    yield "escapes.jsonl", '{"a":"' + "\\u0000" * 6000 + '"}\n'
    yield "surrogates.jsonl", '{"a":"\\udc00\\ud800"}\n'
    yield "names_twice.jsonl", '{"a":1,"a":2}\n'
    yield "many_names.jsonl", json.dumps({f"n{number}": 0 for number in range(4000)}) + "\n"
    yield "truncated.json", '[{"a":1},{"a":"b'
    yield "truncated.jsonl", '{"a":1}\n{"a":"b'
    yield "truncated.ipynb", (GOLDEN / "notebook/modern.ipynb").read_bytes()[:1500]


# --- texts -----------------------------------------------------------------------------------------------------------


def texts():
    samples = {"txt": "A line of text.\n", "md": "# A head\n\nA text.\n", "csv": "a,b\n1,2\n", "jsonl": '{"a":"x"}\n',
               "json": '[{"a":"x"}]\n', "html": "<html><body><p>A text of a page that has some words in it.</p></body></html>",
               "srt": "1\n00:00:01,000 --> 00:00:02,000\nHello\n", "vtt": "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n"}
    for extension, text in samples.items():
        middle = len(text) * 2 // 3
        yield f"nulls.{extension}", text[:middle] + "\0" + text[middle:]
        yield f"only_nulls.{extension}", "\0" * 4000
        yield f"utf8.{extension}", text[:middle].encode() + b"\xff\xc0\xaf\xed\xa0\x80" + text[middle:].encode()
        yield f"cut_utf8.{extension}", text.encode() + b"\xf0\x9f\xa6"
        wide = text.encode("utf-16-le")
        yield f"utf16_surrogate.{extension}", b"\xff\xfe" + wide[: middle * 2] + b"\x00\xdc" + wide[middle * 2 :]
        yield f"utf16_odd.{extension}", b"\xfe\xff" + text.encode("utf-16-be") + b"\0"
    yield "formula.csv", 'name,sum\n=cmd|\' /C calc\'!A0,"=HYPERLINK(""http://x"",""y"")"\n@SUM(A1),+1-1\n'
    yield "open_quote.csv", 'a,b\n"' + "x,y\n" * 10_000
    yield "columns.csv", "a,b\n" + "," * 40_000 + "\n"
    yield "many_columns.csv", ",".join(f"c{number}" for number in range(6000)) + "\n" + "," * 5999 + "\n"
    yield "twice.csv", "a,a\n1,2\n"
    yield "quotes.csv", "a\n" + '"' * 40_001 + "\n"
    yield "laughs.md", f"---\n{YAML_LAUGHS}---\nA text.\n"
    yield "deep_quotes.md", ">" * 40_000 + " a\n"
    yield "deep_list.md", "".join(" " * (n % 200) + "- a\n" for n in range(400))
    yield "brackets.md", "[" * 40_000
    yield "stars.md", "*a_ " * 10_000
    yield "deep.html", "<div>" * 8_000 + "a"
    yield "deep_tables.html", "<table><tr><td>" * 3_000 + "a"
    yield "formatting.html", "<b><i><u><a href=x>" * 2_000 + "a"
    yield "attributes.html", "<p " + " ".join(f"a{n}=b" for n in range(4000)) + ">a"
    yield "span.html", '<table><tr><td colspan="4294967295" rowspan="4294967295">a</td></tr></table>' * 300
    yield "entities.html", "<p>" + "&#x110000;&#0;&#xD800;&a;" * 1500
    yield "charset.html", "<meta charset=utf-7><p>+ADw-script+AD4-"
    yield "comment.html", "<!--" * 10_000
    yield "times.srt", "1\n99999999:99:99,999 --> 00:00:00,000\nHello\n"
    yield "backwards.vtt", "WEBVTT\n\n00:05.000 --> 00:01.000\nHello\n\n00:00.000 --> 00:00.000\nYou\n"
    yield "tags.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n" + "<c.a><i>" * 4000 + "\n"
    yield "timeless.srt", "1\n-->\n" * 4000


# --- XML -------------------------------------------------------------------------------------------------------------

LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
) + "]>"


def xmls():
    dump = lambda text: f'<mediawiki xml:lang="en"><page><title>T</title><ns>0</ns><revision><text>{text}</text></revision></page></mediawiki>'
    whole = dump("A page.")
    yield "laughs.xml", LAUGHS + dump("&j;")
    yield "external.xml", f'<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>{dump("&x;")}'
    yield "deep.xml", "<mediawiki>" + "<a>" * 10_000
    yield "truncated.xml", whole[:100]
    yield "truncated.xml.bz2", (GOLDEN / "wikipedia/pages.xml.bz2").read_bytes()[:2000]
    yield "nulls.xml", dump("a\0b")
    yield "utf8.xml", dump("a?b").encode().replace(b"?", b"\xff")
    yield "mixed.xml", "<mediawiki><page><title>T</page></title></mediawiki>"
    for name, opening in {"links": "[[", "templates": "{{", "tables": "{|\n|", "bold": "'''a", "tags": "&lt;div>", "references": "&lt;ref>", "lists": "*", "headings": "="}.items():
        yield f"wiki_{name}.xml", dump(opening * (30_000 // len(opening)))


# --- names that promise another format -------------------------------------------------------------------------------


def names():
    golden = lambda name: (GOLDEN / name).read_bytes()
    pdf, page = golden("pdf/hyphens.pdf"), golden("html/list.html")
    rows, grid = b'{"a":1}\n', b"a,b\n1,2\n"
    word, slides, sheet = golden("office/tracked.docx"), golden("office/mill.odp"), golden("office/harvest.xlsx")
    text, cells, book = golden("office/mill.odt"), golden("office/harvest.ods"), golden("office/mill.epub")
    message, note = golden("mail/quoted.eml"), golden("notebook/old.ipynb")
    zip, tar, gz = zipped(("a.jsonl", rows)), tarred(("a.jsonl", rows)), gzip.compress(rows, mtime=0)
    table, feather, database = golden("datasets/sharded/data/extra-00000-of-00001.parquet"), golden("datasets/saved/test/data-00000-of-00001.arrow"), (HOSTILE / "not_utf8.db").read_bytes()
    program = b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 4
    image = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(200)
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)
    wrong = {
        "docx pptx xlsx odt ods epub sqlite parquet arrow html eml json jsonl csv txt md zip": ("pdf", pdf),
        "docx xlsx pdf json jsonl csv parquet sqlite ipynb gz.jsonl zip tar srt vtt eml": ("page", page),
        "pptx xlsx pdf odt ods epub zip json": ("word", word),
        "docx pptx ods epub": ("sheet", sheet),
        "docx odt pdf": ("slides", slides),
        "docx ods xlsx": ("text", text),
        "odt xlsx": ("cells", cells),
        "docx odt zip pdf": ("book", book),
        "docx xlsx tar json jsonl jsonl.gz pdf parquet": ("zip", zip),
        "zip json txt csv": ("tar", tar),
        "zip tar jsonl json txt csv pdf jsonl.bz2 jsonl.xz jsonl.zst": ("gzip", gz),
        "jsonl.gz jsonl.zst": ("bzip2", bz2.compress(rows)),
        "jsonl arrow csv json sqlite": ("parquet", table),
        "parquet jsonl csv": ("arrow", feather),
        "csv json parquet txt": ("database", database),
        "json csv tsv ipynb parquet arrow pdf docx html eml mbox srt vtt": ("rows", rows),
        "eml srt vtt csv ipynb": ("records", b'\xef\xbb\xbf[ {"a":1},\n{"a":2} ]\n'),
        "json jsonl sqlite xlsx eml mbox srt vtt ipynb": ("grid", grid),
        "json csv pdf mbox srt vtt ipynb": ("message", message),
        "jsonl csv txt eml srt": ("notebook", note),
        "txt json csv pdf docx html md": ("program", program),
        "pdf html txt json docx": ("image", image),
        "docx xlsx pdf csv doc xls ppt eml": ("old_office", old),
    }
    for extensions, (kind, data) in wrong.items():
        for extension in extensions.split():
            yield f"{kind}.{extension}", data


def main():
    folders = {"archives": archives, "cards": cards, "json": jsons, "texts": texts, "xml": xmls, "names": names}
    for folder, files in folders.items():
        shutil.rmtree(HOSTILE / folder, ignore_errors=True)
        for name, content in files():
            path = HOSTILE / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))


main()
