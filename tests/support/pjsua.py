"""A phone of pjsip's making, spoken to by lines.

    python3 pjsua.py USER PASSWORD DAEMON udp|tcp|tls AUTHORITY.pem IP RTP_PORT TONE.wav HEARD.wav

It takes `call URI`, `answer`, `busy`, `hangup`, `hold`, `resume`, `dtmf DIGIT`, `transfer URI`, `consult URI` and `join` on its standard
input, one a line, and says what it notices as `* WORD` on its standard output. The newest call is the one that is meant; `join` connects
the one before it with the newest. It leaves when its input ends.
"""
import os
import select
import sys

import pjsua2 as pj

USER, PASSWORD, DAEMON, OVER, AUTHORITY, IP, RTP_PORT, TONE, HEARD = sys.argv[1:]
PARAMETERS = {"udp": "", "tcp": ";transport=tcp", "tls": ";transport=tls"}[OVER]
calls = []


def say(word):
    # In one piece and on a line of its own: the library's threads write there too.
    os.write(1, f"\n* {word}\n".encode())


class Call(pj.Call):
    held = False

    def onCallState(self, _):
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_EARLY and info.role == pj.PJSIP_ROLE_UAC:
            say("ringback")
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            say("answered")
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            calls.remove(self)
            say({486: "busy", 603: "declined"}.get(info.lastStatusCode, "ended"))
            print("ended with", info.lastStatusCode, info.lastReason, flush=True)

    def onCallMediaState(self, _):
        # The list is freed with the call information that it came in.
        info = self.getInfo()
        for media in info.media:
            if media.type != pj.PJMEDIA_TYPE_AUDIO:
                continue
            if media.status == pj.PJSUA_CALL_MEDIA_REMOTE_HOLD and not self.held:
                self.held = True
                say("held")
            if media.status == pj.PJSUA_CALL_MEDIA_LOCAL_HOLD:
                say("holds")
            if media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                say("resumed" if self.held else "talks")
                self.held = False
                audio = self.getAudioMedia(media.index)
                player.startTransmit(audio)
                audio.startTransmit(recorder)

    def onDtmfDigit(self, prm):
        say("dtmf " + prm.digit)

    def onCallTransferStatus(self, prm):
        print("transfer:", prm.statusCode, prm.reason, prm.finalNotify, flush=True)
        prm.cont = not prm.finalNotify


class Account(pj.Account):
    def onRegState(self, prm):
        print("registration:", prm.code, prm.reason, flush=True)
        if prm.code == 200:
            say("registered")

    def onIncomingCall(self, prm):
        call = Call(self, prm.callId)
        calls.append(call)
        call.answer(with_status(180))
        say("rings")


def with_status(status):
    prm = pj.CallOpParam(True)
    prm.statusCode = status
    return prm


def dial(uri):
    call = Call(account)
    calls.append(call)
    call.makeCall(uri, pj.CallOpParam(True))


def resume():
    prm = pj.CallOpParam(True)
    prm.opt.flag = pj.PJSUA_CALL_UNHOLD
    calls[-1].reinvite(prm)


def do(line):
    word, _, rest = line.partition(" ")
    {
        "call": lambda: dial(rest),
        "consult": lambda: dial(rest),
        "answer": lambda: calls[-1].answer(with_status(200)),
        "busy": lambda: calls[-1].answer(with_status(486)),
        "hangup": lambda: calls[-1].hangup(pj.CallOpParam(True)),
        "hold": lambda: calls[-1].setHold(pj.CallOpParam(True)),
        "resume": resume,
        "dtmf": lambda: calls[-1].dialDtmf(rest),
        "transfer": lambda: calls[-1].xfer(rest, pj.CallOpParam(True)),
        "join": lambda: calls[-2].xferReplaces(calls[-1], pj.CallOpParam(True)),
    }[word]()


endpoint = pj.Endpoint()
endpoint.libCreate()
config = pj.EpConfig()
# All of it on this thread: its callbacks come from libHandleEvents below.
config.uaConfig.threadCnt = 0
config.uaConfig.mainThreadOnly = True
config.logConfig.level = 4
config.logConfig.consoleLevel = 4
config.medConfig.clockRate = 8000
config.medConfig.sndClockRate = 8000
config.medConfig.noVad = True
config.medConfig.ecTailLen = 0
endpoint.libInit(config)
transport = pj.TransportConfig()
transport.boundAddress = IP
transport.tlsConfig.CaListFile = AUTHORITY
transport.tlsConfig.verifyServer = True
kind = {"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP, "tls": pj.PJSIP_TRANSPORT_TLS}[OVER]
endpoint.transportCreate(kind, transport)
endpoint.libStart()
endpoint.audDevManager().setNullDev()
for codec in endpoint.codecEnum2():
    endpoint.codecSetPriority(codec.codecId, 255 if codec.codecId.startswith("PCMU") else 0)
player = pj.AudioMediaPlayer()
player.createPlayer(TONE)
recorder = pj.AudioMediaRecorder()
recorder.createRecorder(HEARD)

config = pj.AccountConfig()
config.idUri = f"sip:{USER}@{DAEMON}{PARAMETERS}"
config.regConfig.registrarUri = f"sip:{DAEMON}{PARAMETERS}"
config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", USER, 0, PASSWORD))
config.mediaConfig.transportConfig.boundAddress = IP
config.mediaConfig.transportConfig.port = int(RTP_PORT)
config.mediaConfig.transportConfig.portRange = 16
account = Account()
account.create(config)

os.set_blocking(0, False)
read = b""
asked = []
while True:
    endpoint.libHandleEvents(10)
    if select.select([0], [], [], 0)[0]:
        chunk = os.read(0, 4096)
        if not chunk:
            os._exit(0)
        *lines, read = (read + chunk).split(b"\n")
        asked += lines
    while asked:
        try:
            do(asked[0].decode())
        except pj.Error as why:
            # While one INVITE is in flight another can't be sent: it is tried again after what comes next.
            print("not yet:", asked[0], why.info(), flush=True)
            break
        del asked[0]
