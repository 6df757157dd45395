"""The cache of Python's `huggingface_hub`, and proof that it and `finetune` read each other's.

    pip install huggingface_hub
    cargo test -p finetune-data --features hub --test hub --no-run
    python hub_cache.py PATH_OF_THE_TEST_BINARY

A server on this machine speaks the hub's protocol. First Python's library downloads a data set from it, and the cache
is written to `hub_cache.json` beside this file; the test binary opens that cache offline. Then the test binary
downloads, and Python's library opens its cache offline and looks for faults in it. Last made with version 2.4.0.
"""

import hashlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "README.md": b"# Hello\n",
    "data/train \u00e9.csv": b"text,label\n" + b"".join(b"row %d,%d\n" % (at, at % 2) for at in range(40)),
    "empty.txt": b"",
}


def git(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_large(content):
    return len(content) > 100


def etag(content):
    return hashlib.sha256(content).hexdigest() if is_large(content) else git(content)


def node(path, content):
    node = {"type": "file", "oid": git(content), "size": len(content), "path": path}
    if is_large(content):
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{etag(content)}\nsize {len(content)}\n".encode()
        node |= {"oid": git(pointer), "lfs": {"oid": etag(content), "size": len(content), "pointerSize": len(pointer)}}
    return node


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        api, file = "/api/datasets/owner/name/", f"/datasets/owner/name/resolve/{COMMIT}/"
        if path == api + "revision/main":
            self.reply(json.dumps({"id": "owner/name", "sha": COMMIT, "siblings": []}).encode())
        elif path == api + f"tree/{COMMIT}":
            self.reply(json.dumps([node(*item) for item in FILES.items()]).encode())
        elif path.startswith(file) and path.removeprefix(file) in FILES:
            content = FILES[path.removeprefix(file)]
            self.reply(content, {"X-Repo-Commit": COMMIT, "ETag": f'"{etag(content)}"'})
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def reply(self, body, headers={}):
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


PYTHON = """
import pathlib, sys
from huggingface_hub import scan_cache_dir, snapshot_download
folder = snapshot_download("owner/name", repo_type="dataset")
for path in sys.argv[1:]:
    assert (pathlib.Path(folder) / path).is_file(), path
found = scan_cache_dir()
assert not found.warnings, found.warnings
[repo] = found.repos
print("Python:", repo.repo_id, repo.nb_files, "files,", repo.size_on_disk, "bytes, refs", sorted(repo.refs))
"""


def python(environment):
    subprocess.run([sys.executable, "-c", PYTHON, *FILES], env=os.environ | environment, check=True)


def finetune(binary, environment):
    command = [binary, "--ignored", "--exact", "the_hub_of_the_environment_is_read"]
    subprocess.run(command, env=os.environ | environment, check=True)


def layout(folder):
    """The files and links below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = {"link": os.readlink(path)}
        elif path.is_file():
            found[name] = {"text": path.read_text()}
    return found


def main():
    binary = sys.argv[1]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    online = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    offline = online | {"HF_HUB_OFFLINE": "1"}

    with tempfile.TemporaryDirectory() as home:
        python(online | {"HF_HOME": home})
        found = layout(pathlib.Path(home) / "hub" / "datasets--owner--name")
        golden = pathlib.Path(__file__).with_suffix(".json")
        golden.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        finetune(binary, offline | {"HF_HOME": home})
    with tempfile.TemporaryDirectory() as home:
        finetune(binary, online | {"HF_HOME": home})
        python(offline | {"HF_HOME": home})


if __name__ == "__main__":
    main()
