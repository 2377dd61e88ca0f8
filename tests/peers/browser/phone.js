// A phone in a browser (RFC 7118): SIP.js over a WebSocket, told by the test what to do and telling it what happens.
//
// Its media is none of this test: the session description is plain RTP/AVP, which the daemon relays today, and not that of WebRTC.

import { Inviter, Registerer, UserAgent } from "/node_modules/sip.js/lib/index.js";

const { searchParams } = new URL(location.href);
const [server, domain, user] = ["server", "domain", "user"].map((name) => searchParams.get(name));

// One after the other, in the order in which they happened.
let saying = Promise.resolve();
const say = (line) => (saying = saying.then(() => fetch("/said", { method: "POST", body: line })));

class PlainAudio {
  close() {}
  async getDescription() {
    const body = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", "m=audio 9 RTP/AVP 0", ""].join("\r\n");
    return { body, contentType: "application/sdp" };
  }
  hasDescription(contentType) {
    return contentType === "application/sdp";
  }
  async rollbackDescription() {}
  async setDescription() {}
  sendDtmf() {
    return false;
  }
}

let session;
const watch = (watched) => {
  session = watched;
  session.stateChange.addListener((state) => say(`session ${state}`));
};

const agent = new UserAgent({
  uri: UserAgent.makeURI(`sip:${user}@${domain}`),
  transportOptions: { server },
  authorizationUsername: user,
  authorizationPassword: `pw-${user}`,
  sessionDescriptionHandlerFactory: () => new PlainAudio(),
  delegate: {
    onInvite(invitation) {
      watch(invitation);
      invitation.accept();
    },
  },
});

const commands = {
  async register() {
    const registerer = new Registerer(agent);
    registerer.stateChange.addListener((state) => say(`registration ${state}`));
    await registerer.register();
  },
  async call(number) {
    const inviter = new Inviter(agent, UserAgent.makeURI(`sip:${number}@${domain}`));
    watch(inviter);
    await inviter.invite({
      requestDelegate: {
        onProgress: (response) => say(`progress ${response.message.statusCode}`),
        onAccept: (response) => say(`accepted ${response.message.statusCode}`),
        onReject: (response) => say(`rejected ${response.message.statusCode}`),
      },
    });
  },
  async bye() {
    await session.bye();
  },
};

try {
  await agent.start();
  await say("connected");
  for (;;) {
    const [command, argument] = (await (await fetch("/next")).text()).split(" ");
    await commands[command](argument);
  }
} catch (error) {
  await say(`broken ${error.stack ?? error}`);
}
