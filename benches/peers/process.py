"""Processes of the bench: started on a CPU, ended with it, and what CPU time they have used."""
import atexit, os, shutil, signal, subprocess, sys, tempfile

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
SCRATCH = tempfile.mkdtemp(prefix="ringtree-bench-")
started = []                     # only what stands here is ever signalled


def spawn(command, cpu, log, cwd=None, **popen):
    """Starts `command` pinned to `cpu`; its output goes to the file `log` of the scratch directory, unless `popen` says otherwise."""
    output = open(os.path.join(SCRATCH, log), "ab")
    process = subprocess.Popen(["taskset", "-c", str(cpu), *map(str, command)], cwd=cwd or SCRATCH,
                               stdin=subprocess.DEVNULL, **{"stdout": output, "stderr": output, **popen},
                               # Without TZ, libc looks at /etc/localtime again for each call that asks for civil time.
                               env={**os.environ, "TZ": os.environ.get("TZ", ":/etc/localtime")})
    started.append(process)
    return process


def log_of(log):
    with open(os.path.join(SCRATCH, log), errors="replace") as file:
        return file.read()[-3000:]


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process in started:
        started.remove(process)


def tree(root):
    """`root` and its descendants."""
    children = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
        except OSError:          # it ended meanwhile
            continue
        children.setdefault(parent, []).append(int(entry))
    found, left = [], [root]
    while left:
        process = left.pop()
        found.append(process)
        left += children.get(process, [])
    return found


def cpu_seconds(roots):
    """CPU time of these processes and their descendants so far.

    utime and stime in /proc/PID/stat count whole ticks; schedstat has the run time in nanoseconds for each live thread. The
    larger of the two is taken: the first keeps threads that ended, the second has no rounding."""
    total = 0.0
    for pid in {pid for root in roots for pid in tree(root)}:
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            fine = 0
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                    fine += int(file.read().split()[0])
        except OSError:
            continue
        total += max((int(fields[11]) + int(fields[12])) / TICKS_A_SECOND, fine / 1e9)
    return total


def memory_bytes(roots):
    """Memory of these processes and their descendants: what they share is counted once (PSS)."""
    total = 0
    for pid in {pid for root in roots for pid in tree(root)}:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024
        except (OSError, StopIteration):
            continue
    return total


def _clean():
    for process in reversed(started[:]):
        end(process)
    shutil.rmtree(SCRATCH, ignore_errors=True)


atexit.register(_clean)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
