# SPDX-License-Identifier: MIT
"""Programs as the distribution ships them, native and recorded: the same output, status and files,
with only themselves traced and with every library traced, libc included."""
import os
import re
import signal
import socket
import subprocess
import time

import pytest

import ftracetest
from ftracetest import FTRACE, run, run_in_new_folder
from unmodified import FORMS, need, need_file, own_stderr, same, tool

form = pytest.mark.parametrize("form", FORMS)
HERE = os.path.dirname(os.path.abspath(__file__))
REAL = os.path.join(os.path.dirname(HERE), "real")


# ---- python ----

@form
@pytest.mark.limit(240)
@pytest.mark.parametrize("module", ["test_json", "test_re", "test_threading", "test_asyncio.test_tasks",
                                    "test_subprocess", "test_ctypes"])
def test_python(module, form, record):
    """Python's own regression tests. Times, and how many ran before another, are not compared."""
    need_file("/usr/lib/python3.11/test/test_json")
    # Once is enough of what test_subprocess runs once more with another system call.
    names = [f"test.{module}.{name}" for name in (
        "ProcessTestCase", "POSIXProcessTestCase", "RunFuncTestCase", "MiscTests", "ContextManagerTests")] \
        if module == "test_subprocess" else ["test." + module]
    command = ["/usr/bin/python3.11", "-I", "-m", "unittest", "-b", *names]
    if module not in native_runs:
        native_runs[module] = run_in_new_folder(command, timeout=110)
    native = native_runs[module]
    assert native.status == 0, str(native)
    recording = record(command, FORMS[form], timeout=220)
    assert recording.result.status == native.status, f"{native}\n{recording.result}"
    assert summary(own_stderr(recording.result)) == summary(native.stderr), \
        f"{native}\n{recording.result}"


native_runs = {}


def summary(stderr):
    """What unittest says at its end."""
    ran = re.findall(rb"(?m)^Ran (\d+) tests?", stderr)
    end = re.findall(rb"(?m)^(?:OK|FAILED).*$", stderr)
    failed = sorted(re.findall(rb"(?m)^(?:FAIL|ERROR): .*$", stderr))
    return ran, end, failed


@form
def test_python_workload(form, record):
    script = ("import sys, zlib, hashlib, json, decimal, sqlite3, random, struct\n"
              "random.seed(4)\n"
              "rows = [(i, random.random(), str(i) * 3) for i in range(2000)]\n"
              "db = sqlite3.connect('file.db'); db.execute('create table t(a, b, c)')\n"
              "db.executemany('insert into t values (?, ?, ?)', rows); db.commit()\n"
              "print(db.execute('select count(*), sum(b), max(c) from t where a % 7 = 3').fetchall())\n"
              "text = json.dumps(rows).encode(); packed = zlib.compress(text)\n"
              "print(len(packed), hashlib.sha256(text).hexdigest(), zlib.decompress(packed) == text)\n"
              "print(decimal.Decimal(2).sqrt(), struct.pack('<dq', 1.5, 7))\n"
              "try:\n    raise ValueError('seen')\nexcept ValueError as e:\n    print(e)\n"
              "sys.stderr.write('to stderr\\n'); sys.exit(3)\n")
    same(record, ["/usr/bin/python3.11", "-I", "-c", script], FORMS[form], calls=10000)


# ---- other interpreters, data ----

@form
def test_perl(form, record):
    script = ("use strict; use POSIX; use List::Util qw(sum); use Data::Dumper; $Data::Dumper::Sortkeys=1;"
              "my %h; $h{$_ % 37} .= chr(65 + $_ % 26) for 1..5000; print Dumper(\\%h);"
              "my @s = sort { $a cmp $b } map { sprintf '%06.2f', sqrt $_ } 1..3000; print \"@s[0..9]\\n\";"
              "my $t = join ',', @s; my $n = () = $t =~ /(\\d+)\\.(\\d)\\2/g; print \"$n\\n\";"
              "eval { die { code => 7 } }; print $@->{code}, \"\\n\"; local $SIG{ALRM} = sub { die \"alarm\\n\" };"
              "eval { alarm 1; select undef, undef, undef, 5; }; print $@; print POSIX::floor(-2.5), \"\\n\";"
              "my $pid = fork; if (!$pid) { print STDERR \"child\\n\"; POSIX::_exit(5) } waitpid $pid, 0;"
              "print $? >> 8, \"\\n\"; open my $f, '>', 'out'; print $f $t; close $f; print `wc -c out`; exit 4")
    same(record, [tool("perl"), "-e", script], FORMS[form], calls=10000)


@form
def test_sqlite3(form, record):
    need("sqlite3")
    with open(os.path.join(REAL, "workload.sql"), "rb") as script:
        same(record, ["sqlite3", "file.db"], FORMS[form], stdin=script.read(), calls=1000)


@form
def test_xz(form, record):
    need("xz")
    script = ("cat /usr/bin/perl > in; xz -k -3 -T2 in; xz -k -0 -c in > fast.xz; xz -l --robot in.xz | wc -l;"
              "xz -t in.xz fast.xz && xz -dc in.xz | cmp - in && xz -dc -T2 fast.xz | md5sum; xz -d nothing.xz;"
              "echo $?; head -c 1000 in.xz | xz -dc >/dev/null; echo $?; rm -f in fast.xz")
    same(record, ["sh", "-c", script], FORMS[form], calls=100)


@form
@pytest.mark.limit(240)
def test_git(form, record):
    need("git")
    script = """set -e
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b HOME=$PWD
export GIT_AUTHOR_DATE='2001-01-01 00:00 +0000' GIT_COMMITTER_DATE='2001-01-01 00:00 +0000'
export GIT_CONFIG_NOSYSTEM=1
git init -q -b main one; cd one
for i in 1 2 3 4 5 6; do
  for f in a b c; do seq 1 $((i * 300)) | sed "s/7/$f$i/" > $f; done
  git add -A; git commit -qm "commit $i"
done
git checkout -q -b side HEAD~3; echo new > d; git add d; git commit -qm side
git checkout -q main; git merge -q -m merge side
cd ..; git clone -q --no-local one two; cd two
git log --stat --graph | head -60; git diff HEAD~3 --shortstat; git blame a | tail -3
git rev-list --all --objects | sort | md5sum; git gc -q; git fsck 2>&1; git count-objects
git archive HEAD | tar tf -; git grep -c 11a6 | head; git show nothing 2>&1 || echo status $?
cd ..; rm -rf one two
"""
    same(record, ["bash", "-c", script], FORMS[form], timeout=220, calls=1000)


@form
@pytest.mark.limit(240)
def test_gcc(form, record):
    """Driver, compiler, assembler, linker; the object files are the same."""
    need("gcc")
    source = os.path.join(os.path.dirname(HERE), "programs/returns.c")
    script = f"gcc -O2 -S -o out.s {source}; gcc -O1 -c -o out.o out.s && gcc -o out out.o && ./out | md5sum; gcc -c nothing.c"
    same(record, ["sh", "-c", script], FORMS[form], timeout=220, calls=1000)


@form
def test_bash(form, record):
    script = r"""
shopt -s extglob nullglob
f() { local n=$1; (( n > 0 )) && f $((n - 1)) || echo deep; }
f 50
for i in {1..30}; do echo "line $i $((i * i))"; done | grep -v 5 | sort -rn -k2 | head -7 | tee out | wc -l
cat <(seq 1 5) <(seq 6 9) | paste -sd+ | bc 2>/dev/null || echo no bc
trap 'echo got usr1' USR1; kill -USR1 $$; trap 'echo bye' EXIT
coproc cat; echo through >&"${COPROC[1]}"; read -r line <&"${COPROC[0]}"; echo $line; kill $COPROC_PID; wait $COPROC_PID 2>/dev/null
(exit 7); echo $?; { sleep 0.1; echo late; } & wait $!
x=$(printf '%s\n' a b c | while read -r l; do echo -n "<$l>"; done); echo $x ${x//</[}
[[ abc123 =~ ([a-z]+)([0-9]+) ]] && echo ${BASH_REMATCH[2]}; declare -A m=([k]=v); echo ${m[k]} ${!m[@]}
printf -v t '%05.1f' 3.14159; echo $t; ulimit -n 50; sh -c 'exec 3>f3; echo x >&3'; cat f3
nosuchcommand; timeout 0.2 sleep 5; echo $?; bash -c 'kill -9 $$'; echo $?
exit 9
"""
    same(record, ["bash", "--norc", "-c", script], FORMS[form], calls=1000)


# ---- openssl ----

@form
def test_openssl_speed(form, record):
    """Its numbers differ; that it computes, and what else it says, does not."""
    need("openssl")
    command = ["openssl", "speed", "-seconds", "1", "-bytes", "1024", "sha256", "aes-128-cbc"]
    native = run_in_new_folder(command, timeout=60)
    recording = record(command, FORMS[form], timeout=110)
    assert recording.result.status == native.status == 0, str(recording.result)
    shape = [re.sub(rb" *[\d.]+k?", b"N", r.stdout) for r in (native, recording.result)]
    assert shape[0] == shape[1], f"{native}\n{recording.result}"


@form
def test_openssl_digests(form, record):
    need("openssl")
    script = ("head -c 300000 /usr/bin/perl > in; for d in md5 sha1 sha256 sha512 sha3-256 blake2b512; do openssl dgst -$d in; done;"
              "openssl enc -aes-256-cbc -pbkdf2 -S 0011223344556677 -k secret -in in -out enc; md5sum enc;"
              "openssl enc -d -aes-256-cbc -pbkdf2 -k secret -in enc 2>/dev/null | cmp - in; openssl version;"
              "openssl prime 1000003; openssl enc -d -aes-256-cbc -pbkdf2 -k wrong -in enc >/dev/null 2>&1; echo $?; rm in")
    same(record, ["sh", "-c", script], FORMS[form], calls=1000)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def stop(process):
    """Ends a recorded server, however it was; its status."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(30)
    except subprocess.TimeoutExpired:
        ftracetest.kill_session(process.pid)
        process.wait()
        return None


@form
def test_openssl_connection(form, tmp_path):
    """Client against server, both recorded."""
    need("openssl")
    ftracetest.need_ftrace()
    made = run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "cert",
                "-subj", "/CN=test", "-days", "2"], cwd=tmp_path)
    assert made.status == 0, str(made)
    (tmp_path / "page").write_text("what the server has to say\n" * 1000)
    port = str(free_port())
    record = [FTRACE, "record", *FORMS[form]]
    with open(tmp_path / "log", "wb") as log, subprocess.Popen(
            [*record, "-o", "server", "--", "openssl", "s_server", "-accept", port, "-key", "key",
             "-cert", "cert", "-WWW", "-quiet"], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, start_new_session=True) as server:
        try:
            got = None
            for version in ("-tls1_3", "-tls1_2"):
                for _ in range(100):
                    got = run([*record, "-o", "client", "--", "openssl", "s_client", "-connect",
                               "127.0.0.1:" + port, version, "-quiet", "-ign_eof", "-CAfile", "cert"],
                              cwd=tmp_path, stdin=b"GET /page HTTP/1.0\r\n\r\n", timeout=60)
                    if b"onnection refused" not in got.stderr:
                        break
                    time.sleep(0.1)
                assert got.stdout.count(b"what the server has to say\n") == 1000, \
                    f"{got}\n{(tmp_path / 'log').read_text()}"
        finally:
            status = stop(server)
    assert status in (0, 128 + signal.SIGTERM), (tmp_path / "log").read_text()


# ---- a server with threads under load ----

@form
@pytest.mark.limit(240)
def test_redis(form, tmp_path):
    """The distribution's redis-server with I/O threads and saving children; its benchmark's operations
    and a script's results are all there."""
    need("redis-server", "redis-cli", "redis-benchmark")
    ftracetest.need_ftrace()
    path = str(tmp_path / "socket")
    command = [FTRACE, "record", "-o", str(tmp_path / "data"), *FORMS[form], "--", "redis-server",
               "--port", "0", "--unixsocket", path, "--dir", str(tmp_path), "--appendonly", "yes",
               "--io-threads", "3", "--io-threads-do-reads", "yes", "--save", "1 10"]
    with open(tmp_path / "log", "wb") as log, subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True) as server:
        def cli(*arguments):
            return run(["redis-cli", "-s", path, *arguments], timeout=60)
        try:
            for _ in range(300):
                if os.path.exists(path) and cli("ping").stdout == b"PONG\n":
                    break
                time.sleep(0.05)
            load = run(["redis-benchmark", "-s", path, "-q", "-n", "4000", "-c", "20", "--threads", "2",
                        "-P", "4", "-t", "set,get,incr,lpush,lpop,sadd,hset,zadd,lrange_100,mset"], timeout=100)
            assert load.status == 0, f"{load}\n{(tmp_path / 'log').read_text()}"
            script = "local s = 0; for i = 1, 5000 do s = s + i; redis.call('RPUSH', KEYS[1], i) end; return s"
            assert cli("eval", script, "1", "list").stdout == b"12502500\n"
            assert cli("llen", "list").stdout == b"5000\n"
            assert cli("get", "counter:__rand_int__").stdout == b"4000\n"
            saved = cli("bgsave").stdout
            for _ in range(300):
                if b"already in progress" not in saved:		# one that --save has begun
                    break
                time.sleep(0.1)
                saved = cli("bgsave").stdout
            assert saved.startswith(b"Background") and cli("bgrewriteaof").status == 0, saved
            time.sleep(1)
            assert cli("debug", "digest").stdout, "no digest"
            cli("shutdown", "nosave")
            assert server.wait(60) == 0, (tmp_path / "log").read_text()
        finally:
            if server.poll() is None:
                ftracetest.kill_session(server.pid)
                server.wait()
    assert "CRASH" not in (tmp_path / "log").read_text()
