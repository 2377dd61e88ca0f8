"""The servers that are measured. Each is started afresh for a run, on 127.77.0.1 and on one CPU, and knows the same users."""
import os, re, socket, subprocess, sys, time

from process import SCRATCH, end, log_of, spawn

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SERVER_IP, LOAD_IP = "127.77.0.1", "127.77.0.2"
SIP_PORT, NG_PORT = 5160, 22223
MEDIA_PORTS = (30000, 39999)
USERS = 1000
READY_WITHIN_S = 60


def ringtree(cpu, auth, phones=None):
    binary = os.path.join(ROOT, "target", "release", "ringtree")
    home = os.path.join(SCRATCH, f"ringtree-{time.monotonic_ns()}")     # a store of its own: no registrations of a run before
    os.makedirs(home)
    subprocess.run([os.path.join(HERE, "rules"), os.path.join(home, "rules"), "--users", str(phones or USERS), "--from", LOAD_IP]
                   + (["--auth"] if auth else []) + (["--plain"] if phones else []), check=True)
    with open(os.path.join(home, "ringtree.toml"), "w") as file:
        file.write(f'[sip]\ndefault_domain = "bench.example"\n'
                   f'listen = ["udp://{SERVER_IP}:{SIP_PORT}", "tcp://{SERVER_IP}:{SIP_PORT}"]\n'
                   f'[media]\nlisten = "{SERVER_IP}"\nports = "{MEDIA_PORTS[0]}-{MEDIA_PORTS[1]}"\n'
                   f'[store]\npath = "store"\n[admin]\nsocket = "admin.sock"\n[rules]\nload = ["rules"]\n[log]\nlevel = "warn"\n')
    process = spawn([binary, "run", "--config", "ringtree.toml"], cpu, "ringtree.log", cwd=home)
    _answers_sip(process, "ringtree.log")
    return [process]


def kamailio(cpu, auth, phones=None, rtpengine_too=False):
    define = ["-A", "AUTH"] if auth else []
    if phones:
        define += ["-A", "MEMORY"]
    if rtpengine_too:
        define += ["-A", "RTPENGINE", "-A", f'RTPENGINE_AT="udp:{SERVER_IP}:{NG_PORT}"']
    process = spawn(["kamailio", "-f", os.path.join(HERE, "kamailio.cfg"), "-DD", "-E", "-m", "1024", "-M", "16",
                     "-x", "fm", "-X", "fm", "-Y", SCRATCH, "-w", SCRATCH,
                     "-l", f"udp:{SERVER_IP}:{SIP_PORT}", "-l", f"tcp:{SERVER_IP}:{SIP_PORT}", *define], cpu, "kamailio.log")
    _answers_sip(process, "kamailio.log")
    return [process]


def kamailio_rtpengine(cpu, auth, phones=None):
    # --table=-1: no kernel module, so that both sides relay in user space; two threads were the best for one CPU.
    process = spawn(["rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--log-level=3", "--table=-1",
                     f"--interface={SERVER_IP}", f"--listen-ng={SERVER_IP}:{NG_PORT}", f"--port-min={MEDIA_PORTS[0]}",
                     f"--port-max={MEDIA_PORTS[1]}", "--num-threads=2", "--timeout=60", "--delete-delay=0",
                     "--pidfile=" + os.path.join(SCRATCH, "rtpengine.pid")], cpu, "rtpengine.log")
    _answers(process, "rtpengine.log", NG_PORT, b"1 d7:command4:pinge", b"pong")
    return [process] + kamailio(cpu, auth, rtpengine_too=True)


def floor(cpu, auth, users):
    process = spawn([floor.binary, f"{SERVER_IP}:{SIP_PORT}"], cpu, "floor.log")
    _answers_sip(process, "floor.log")
    return [process]


def loop(cpu, auth, phones=None):
    process = spawn([loop.binary, f"{SERVER_IP}:{MEDIA_PORTS[0]}", loop.pairs], cpu, "loop.err", stdout=subprocess.PIPE, text=True)
    if process.stdout.readline() != "ready\n":
        sys.exit(f"rtploop does not start:\n{log_of('loop.err')}")
    return [process]


SERVERS = {"ringtree": ringtree, "kamailio": kamailio, "kamailio+rtpengine": kamailio_rtpengine, "floor": floor, "loop": loop}


def versions():
    def first(command, pattern):
        shown = subprocess.run(command, capture_output=True, text=True)
        found = re.search(pattern, shown.stdout + shown.stderr)
        return found[1] if found else "?"
    return {"kamailio": first(["kamailio", "-v"], r"kamailio (\S+)"), "rtpengine": first(["rtpengine", "--version"], r"Version: (\S+)")}


def _answers_sip(process, log):
    probe = (f"OPTIONS sip:{SERVER_IP}:{SIP_PORT} SIP/2.0\r\nVia: SIP/2.0/UDP {{me}};branch=z9hG4bK{time.monotonic_ns()};rport\r\n"
             f"Max-Forwards: 70\r\nFrom: <sip:probe@{LOAD_IP}>;tag=1\r\nTo: <sip:{SERVER_IP}>\r\nCall-ID: {time.monotonic_ns()}\r\n"
             "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
    _answers(process, log, SIP_PORT, probe.encode(), b"SIP/2.0 ")


def _answers(process, log, port, probe, wanted):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((LOAD_IP, 0))
        udp.settimeout(0.1)
        probe = probe.replace(b"{me}", f"{LOAD_IP}:{udp.getsockname()[1]}".encode())
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline and process.poll() is None:
            udp.sendto(probe, (SERVER_IP, port))
            try:
                if wanted in udp.recv(4096):
                    return
            except OSError:      # not yet: nothing came, or nothing listens
                time.sleep(0.02)
    sys.exit(f"{log.removesuffix('.log')} does not answer:\n{log_of(log)}")


def stop(processes):
    for process in reversed(processes):
        end(process)
