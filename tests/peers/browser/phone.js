// A phone in a browser (RFC 7118): SIP.js over a WebSocket with the browser's own media, told by the test what to do and telling it what
// happens. It plays a tone, and measures what it hears.

import { Inviter, Registerer, UserAgent, Web } from "/node_modules/sip.js/lib/index.js";

const { searchParams } = new URL(location.href);
const [server, domain, user, hz] = ["server", "domain", "user", "hz"].map((name) => searchParams.get(name));

// One after the other, in the order in which they happened.
let saying = Promise.resolve();
const say = (line) => (saying = saying.then(() => fetch("/said", { method: "POST", body: line })));

const audio = new AudioContext();

// What the microphone would give: the tone, at half of full scale.
const microphone = async () => {
  await audio.resume();
  const [oscillator, gain, output] = [audio.createOscillator(), audio.createGain(), audio.createMediaStreamDestination()];
  oscillator.frequency.value = Number(hz);
  gain.gain.value = 0.5;
  oscillator.connect(gain).connect(output);
  oscillator.start();
  return output.stream;
};

// The strongest tone of what is heard, its part of the power, and the level of all: 1.0 at full scale.
const measure = (analyser) => {
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  const level = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  const decibels = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(decibels);
  const powers = decibels.map((decibel) => 10 ** (decibel / 10));
  const peak = powers.indexOf(Math.max(...powers));
  const total = powers.reduce((sum, power) => sum + power, 0);
  const near = powers.slice(Math.max(0, peak - 3), peak + 4).reduce((sum, power) => sum + power, 0);
  return { hz: (peak * audio.sampleRate) / analyser.fftSize, share: total > 0 ? near / total : 0, level };
};

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
  sessionDescriptionHandlerFactory: Web.defaultSessionDescriptionHandlerFactory(microphone),
  sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: { iceServers: [] } },
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
  // Measures each half second, until it hears something and once more after it.
  async listen() {
    const stream = session.sessionDescriptionHandler.remoteMediaStream;
    // Chromium decodes what comes only for an element that plays it.
    const player = Object.assign(new Audio(), { srcObject: stream, muted: true });
    await player.play();
    const analyser = Object.assign(audio.createAnalyser(), { fftSize: 16384, smoothingTimeConstant: 0 });
    audio.createMediaStreamSource(stream).connect(analyser);
    let loud = 0;
    for (let tries = 0; tries < 40 && loud < 3; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      loud = measure(analyser).level > 0.05 ? loud + 1 : 0;
    }
    await say(`hears ${JSON.stringify(measure(analyser))}`);
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
