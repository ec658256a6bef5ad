# SPDX-License-Identifier: MIT
"""Real programs built with entry nops, native and with every function traced: the same output, the
same status, and their own test suites pass."""
import os
import re
import subprocess
import time

import pytest

import ftracetest
import realprograms
from ftracetest import FTRACE, compare, need_ftrace, run, run_in_new_folder

HERE = os.path.dirname(os.path.abspath(__file__))
TRACERS = ["function_graph", "function"]
# These make hundreds of millions of calls; the recording stops growing there, the tracing goes on.
SIZE = ["--max-size", "64M"]


def program(name, path):
    try:
        return os.path.join(realprograms.get(name), path)
    except realprograms.Unavailable as why:
        pytest.skip(f"{name} cannot be built here: {why}")
        return None


def recorded(record, command, tracer="function_graph", **options):
    recording = record.same(command, ["--tracer", tracer, *SIZE], timeout=110, **options)
    if not ftracetest.NATIVE:
        assert recording.report(), str(recording.result)
    return recording


# The first use of a program builds it.
pytestmark = pytest.mark.limit(600)


@pytest.mark.parametrize("tracer", TRACERS)
def test_lua(tracer, record):
    recorded(record, [program("lua", "src/lua"), os.path.join(HERE, "workload.lua"), "2"], tracer)


def test_lua_all_callbacks():
    """Every function with function ops, two graphs and registers changed by the callbacks."""
    command = [program("lua", "src/lua"), os.path.join(HERE, "workload.lua"), "1"]
    native = run_in_new_folder(command)
    compare(native, run_in_new_folder(command, timeout=100, env={
        "LD_PRELOAD": ftracetest.api_all(), "FTRACE_TEST_API": "all"}))


@pytest.mark.parametrize("tracer", TRACERS)
def test_sqlite(tracer, record):
    with open(os.path.join(HERE, "workload.sql"), "rb") as script:
        recorded(record, [program("sqlite", "sqlite3"), "file.db"], tracer, stdin=script.read())


def test_sqlite_speedtest(record):
    """SQLite's own benchmark, small; its SQL results are compared, its times cut out."""
    command = ["sh", "-c", program("sqlite", "speedtest1") +
               " --size 1 --output results db | sed 's/[0-9.]*s$//'; rm -f db*"]
    recorded(record, command)


def test_sqlite_fuzzcheck(record):
    """SQLite's own regression inputs of its fuzzers (not all eight files: time)."""
    top = os.path.dirname(program("sqlite", "fuzzcheck"))
    for number in (1, 3):
        command = ["sh", "-c", f"{top}/fuzzcheck {top}/test/fuzzdata{number}.db | sed 's/ in .*s//'"]
        recorded(record, command)


def test_sqlite_threads(record):
    """SQLite's own thread tests, two of the short ones."""
    command = [program("sqlite", "threadtest3"), "create_drop_index_1"]
    result = record(command, SIZE, timeout=110).result
    assert result.status == 0 and re.search(rb"\b0 errors out of", result.stdout), str(result)


@pytest.mark.parametrize("tracer", TRACERS)
def test_zstd(tracer, record):
    """Compress at several levels with threads, take apart again, test, list."""
    zstd, top = program("zstd", "programs/zstd"), os.path.dirname(os.path.dirname(
        program("zstd", "programs/zstd")))
    script = (f"cat {top}/lib/*/*.c > in; for l in 1 3 9 19; do {zstd} -q -T2 -$l -k -o out.$l in; "
              f"{zstd} -q -d -c out.$l | cmp - in && echo level $l; done; {zstd} -q -t out.*; "
              f"{zstd} -q --train {top}/lib/*/*.c -o dict 2>&1; {zstd} -q -b1e2 -i0 in >/dev/null; "
              f"{zstd} -q -d nothing; echo $?")
    recorded(record, ["sh", "-c", script], tracer)


def test_zstd_own_tests(record):
    """zstd's fuzzer and stream test, fixed seeds."""
    recorded(record, ["sh", "-c", program("zstd", "tests/fuzzer") + " -s7 -t400 -i430 | tail -1"])
    recorded(record, ["sh", "-c", program("zstd", "tests/zstreamtest") + " -s7 -t50 -i60 | tail -1"])


@pytest.mark.parametrize("tracer", TRACERS)
def test_jq(tracer, record):
    rows = "".join(f'{{"id":{i},"tags":["a{i % 3}","b{i % 5}"],"n":{{"x":{i / 4}}}}}\n'
                   for i in range(400))
    query = ('[.[] | select(.id % 3 == 0) | {id, t: (.tags | join("-")), s: (.n.x | sqrt)}] '
             '| group_by(.t) | map({(.[0].t): (map(.s) | add)}) | add, '
             '(try error("caught") catch .), ([limit(5; range(10; 100; 7))] | @csv)')
    recorded(record, [program("jq", "jq"), "-s", "-S", query], tracer, stdin=rows.encode())


def test_jq_own_tests(record):
    top = os.path.dirname(program("jq", "jq"))
    command = [f"{top}/jq", "-L", f"{top}/tests/modules", "--run-tests", f"{top}/tests/jq.test"]
    recorded(record, command)


class Redis:
    """A redis-server on a socket in a folder, recorded or not."""

    def __init__(self, folder, recording=None, tracer="function_graph"):
        server = program("redis", "src/redis-server")
        self.tools, self.socket = os.path.dirname(server), os.path.join(folder, "socket")
        command = [server, "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir", folder,
                   "--appendonly", "yes", "--io-threads", "2"]
        if recording:
            command = [FTRACE, "record", "-o", recording, "--tracer", tracer, *SIZE, "--", *command]
        self.log = open(os.path.join(folder, "log"), "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, start_new_session=True)
        for _ in range(400 * ftracetest.PATIENCE):
            if os.path.exists(self.socket) and self.cli("ping").stdout == b"PONG\n":
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        with open(self.log.name, "rb") as log:
            pytest.fail(f"redis-server did not start: {command}\n{log.read()[-3000:].decode()}")

    def cli(self, *arguments, stdin=b""):
        return run([os.path.join(self.tools, "redis-cli"), "-s", self.socket, *arguments],
                   stdin=stdin, timeout=60)

    def benchmark(self, *arguments):
        return run([os.path.join(self.tools, "redis-benchmark"), "-s", self.socket, *arguments],
                   timeout=100)

    def stop(self):
        self.cli("shutdown", "nosave")
        try:
            return self.process.wait(30 * ftracetest.PATIENCE)
        except subprocess.TimeoutExpired:
            ftracetest.kill_session(self.process.pid)
            self.process.wait()
            return None
        finally:
            self.log.close()


COMMANDS = b"""set a 1
incrby a 41
rpush list 3 1 2
sort list
zadd z 1.5 one 2.5 two 0.5 half
zrangebyscore z -inf +inf withscores
hset h f1 v1 f2 v2
hgetall h
sadd s1 a b c
sadd s2 b c d
sinterstore s3 s1 s2
sort s3 alpha
eval "local s = 0 for i = 1, 1000 do s = s + i end return {s, redis.call('get', 'a')}" 0
eval "return redis.call('nothing')" 0
eval "error('from lua')" 0
setbit bits 100 1
bitcount bits
pfadd hll a b c d
pfcount hll
xadd stream 1-1 k v
xrange stream - +
geoadd geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
geodist geo Palermo Catania km
multi
incr a
get a
exec
object encoding list
dump a
wrong command
debug sleep 0
dbsize
"""


@pytest.mark.parametrize("tracer", TRACERS)
def test_redis(tracer, tmp_path):
    """A fixed list of commands answered the same, then redis-benchmark, then a proper end."""
    answers, statuses = [], []
    for recording in (None, str(tmp_path / "data")):
        if recording:
            need_ftrace()
        folder = tmp_path / ("traced" if recording else "native")
        folder.mkdir()
        server = Redis(str(folder), recording, tracer)
        try:
            answers.append(server.cli(stdin=COMMANDS).stdout)
            done = server.benchmark("-n", "3000", "-c", "20", "-q", "-P", "4", "-t",
                                    "set,get,incr,lpush,lpop,sadd,hset,zadd,lrange_100,mset")
            assert done.status == 0 and b"MSET" in done.stdout, str(done)
            fork = server.cli("bgsave")		# a fork that traces
            assert b"saving started" in fork.stdout, str(fork)
        finally:
            statuses.append(server.stop())
    assert answers[0] == answers[1]
    assert statuses == [0, 0], (statuses, (tmp_path / "traced/log").read_bytes()[-2000:])
    assert ftracetest.Recording(str(tmp_path / "data"), None).report()


def test_redis_own_tests(tmp_path):
    """Two units of redis's own suite, with every server it starts recorded."""
    need_ftrace()
    if not ftracetest.have("tclsh"):
        pytest.skip("tclsh, which redis's test suite runs on, is not installed")
    top = os.path.dirname(os.path.dirname(program("redis", "src/redis-server")))
    result = run([FTRACE, "record", "-o", str(tmp_path / "data"), *SIZE, "--", "tclsh",
                  "tests/test_helper.tcl", "--single", "unit/type/hash", "--single",
                  "unit/scan", "--clients", "1", "--baseport", "31111"], cwd=top, timeout=170)
    assert result.status == 0 and b"All tests passed without errors" in result.stdout, str(result)
