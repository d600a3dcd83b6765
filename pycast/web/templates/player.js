/* Plays the mounts of the page and keeps it fresh. Without this file the page still works.
 *
 * Three parts: the player (one <audio>, always opened anew, never resumed from an old buffer), the polling (reads
 * status-json.xsl, and fetches the page again when mounts came or went), and the controls (buttons, volume, keys).
 * Text from outside is only ever set as textContent. */
(() => {
  "use strict";

  const POLL_MS = 5000;             // how often titles are polled, with few listeners
  const POLL_MAX_MS = 60000;        // the longest wait after failures
  const LISTENERS_PER_EXTRA_S = 400; // with many listeners each polls less often: a poll costs the server more than the audio
  const POLL_HIDDEN_MS = 20000;     // playing in a hidden tab: the lock screen still shows titles
  const REFRESH_EVERY = 6;          // polls between two fetches of the whole page
  const STALL_MS = 12000;           // after this long without audio, connect again; longer than the server waits for a lost source
  const HEALTHY_MS = 10000;         // after this long of audio, the next failure starts with a short wait again
  const RETRY_MS = 1000;
  const RETRY_MAX_MS = 30000;
  const FETCH_MS = 10000;

  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const list = $("#stations"), bar = $("#bar"), notice = $("#notice"), said = $("#said");
  let idleTitle = document.title;

  const stations = () => $$(".station");
  const station = (mount) => stations().find((card) => card.dataset.mount === mount);
  const setText = (node, text) => node.textContent !== text && ((node.textContent = text), true);
  const say = (text) => setText(said, text);
  const href = (card) => new URL(card.dataset.link, document.baseURI).href;

  /* ---- the player ---- */

  const WORDS = { idle: "", connecting: "Connecting…", playing: "Live", buffering: "Buffering…", retrying: "Reconnecting…" };
  const audio = new Audio();
  audio.id = "player";
  document.body.append(audio);
  let wanted = null;      // the mount that should be heard, or null
  let latest = null;      // the mount heard last: what the "play" key of a keyboard or lock screen means
  let state = "idle";
  let failures = 0, retryTimer = 0, position = 0, movedAt = 0, soundSince = 0;
  let heardType = "";     // the content type that played: it can be played, whatever the browser says

  function play(mount) {
    release();
    wanted = latest = mount;
    failures = 0;
    connect();
    poll();
  }

  function stop() {
    wanted = null;
    setState("idle");
    release();
  }

  function release() {  // close the connection: a paused live stream would go on from an old buffer, and cost a slot
    clearTimeout(retryTimer);
    retryTimer = 0;
    audio.pause();
    if (audio.hasAttribute("src")) { audio.removeAttribute("src"); audio.load(); }
  }

  function connect() {
    retryTimer = 0;
    const card = station(wanted);
    if (!card) { retry(); return; }
    setState(failures ? "retrying" : "connecting");
    position = soundSince = 0;
    movedAt = performance.now();
    const url = new URL(href(card));
    url.searchParams.set("_", Date.now().toString(36));  // else the browser may answer from its cache
    audio.src = url.href;
    const mount = wanted;
    audio.play().catch((error) => {
      if (error.name === "NotAllowedError" && wanted === mount) { stop(); say("Press play to listen."); }
    });
  }

  function retry() {
    if (wanted === null || retryTimer) return;
    if (failures > 1 && !canPlay(station(wanted))) {
      stop();
      setText(notice, "This browser cannot play this format. Open the stream in another player.");
      return;
    }
    release();
    setState("retrying");
    const wait = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** failures) * (0.75 + Math.random() / 2);
    failures += 1;
    retryTimer = setTimeout(connect, wait);
  }

  function canPlay(card) {  // browsers play more types than they say they know
    if (!card || card.dataset.type === heardType) return true;
    const type = card.dataset.type.toLowerCase(), usual = type.replace("aacp", "aac").replace("audio/opus", "audio/ogg").replace("/x-", "/");
    return [type, usual].some((one) => audio.canPlayType(one) !== "");
  }

  function watch() {  // once a second: does the position advance?
    if (wanted === null || retryTimer) return;
    const now = performance.now();
    if (audio.currentTime > position) {
      position = audio.currentTime;
      movedAt = now;
      if (!soundSince) { soundSince = now; heardType = station(wanted)?.dataset.type ?? heardType; }
      if (now - soundSince > HEALTHY_MS) failures = 0;
      setState("playing");
    } else if (now - movedAt > STALL_MS) {
      retry();
    } else if (state === "playing" && now - movedAt > 1800) {
      soundSince = 0;
      setState("buffering");
    }
  }

  audio.addEventListener("playing", () => { if (wanted !== null) { movedAt = performance.now(); setState("playing"); } });
  audio.addEventListener("timeupdate", watch);
  audio.addEventListener("error", () => { if (audio.hasAttribute("src")) retry(); });
  audio.addEventListener("ended", retry);
  audio.addEventListener("pause", () => {  // not ours: a headphone was pulled out, a call came in
    if (wanted !== null && ["playing", "buffering"].includes(state) && audio.hasAttribute("src") && !audio.ended && !audio.error) stop();
  });
  setInterval(watch, 1000);
  window.addEventListener("online", () => { if (retryTimer) { clearTimeout(retryTimer); connect(); } poll(); });

  function setState(next) {
    const changed = state !== next;
    state = next;
    if (changed && next === "playing") setText(notice, "");
    if (changed) say(next === "idle" ? "Stopped" : `${WORDS[next]} ${nameOf(station(wanted))}`);
    show();
  }

  /* ---- the display ---- */

  const nameOf = (card) => (card ? $(".name", card).textContent : "");
  const titleOf = (card) => (card ? $("[data-title]", card).textContent : "");
  const artistOf = (card) => (card ? $("[data-artist]", card).textContent : "");
  const songOf = (card) => [artistOf(card), titleOf(card)].filter(Boolean).join(" – ") || nameOf(card);

  function show() {
    for (const card of stations()) showStation(card);
    const card = wanted === null ? null : station(wanted);
    bar.hidden = wanted === null || (list.className === "solo" && heroSeen);
    document.documentElement.classList.toggle("barred", !bar.hidden);
    if (card) showBar(card);
    setText($("[data-bar-state]"), WORDS[state]);  // without a card too: its mount has gone, and may come back
    document.title = card ? `▶ ${songOf(card)} · ${nameOf(card)}` : idleTitle;
    showOnLockScreen(card);
  }

  function showStation(card) {
    const current = card.dataset.mount === wanted;
    const mode = current ? state : "idle";
    if (card.dataset.play === mode) return;
    card.dataset.play = mode;
    card.classList.toggle("current", current);
    $("[data-act=toggle]", card).setAttribute("aria-label", `${current ? "Stop" : "Listen live to"} ${nameOf(card)}`);
    setIcon($("[data-act=toggle]", card), current ? "stop" : "play");
    setText($("[data-play-text]", card), current ? "Stop" : "Listen live");
    setText($("[data-state-text]", card), !current ? card.dataset.rest : state === "playing" ? "Playing" : WORDS[state]);
  }

  function showBar(card) {
    if (bar.dataset.mount !== card.dataset.mount) {
      bar.dataset.mount = card.dataset.mount;
      $("[data-bar-cover]").replaceChildren($(".art", card).cloneNode(true));
      for (const token of ["--ink", "--glow"]) bar.style.setProperty(token, card.style.getPropertyValue(token));
    }
    setText($("[data-bar-title]"), songOf(card));
    setText($("[data-bar-name]"), nameOf(card));
  }

  const setIcon = (button, icon) => $("use", button).setAttribute("href", `#i-${icon}`);

  let heroSeen = true;
  const sight = new IntersectionObserver((entries) => {
    heroSeen = entries[entries.length - 1].isIntersecting;
    show();
  });

  function lookAtHero() {  // alone on the page, a station is its own player bar while its button is in sight
    sight.disconnect();
    if (list.className === "solo") sight.observe($(".station .controls"));
  }

  let lockScreen = "";

  function showOnLockScreen(card) {
    if (!("mediaSession" in navigator)) return;
    navigator.mediaSession.playbackState = wanted === null ? "none" : "playing";
    if (!card) return;
    const what = { title: titleOf(card) || nameOf(card), artist: artistOf(card) || nameOf(card), album: nameOf(card) };
    const key = JSON.stringify([card.dataset.mount, what]);
    if (key === lockScreen) return;
    lockScreen = key;
    navigator.mediaSession.metadata = new MediaMetadata(what);
    paint(card, (artwork) => { if (lockScreen === key) navigator.mediaSession.metadata = new MediaMetadata({ ...what, artwork }); });
  }

  function paint(card, done) {  // lock screens want a bitmap of the cover
    const picture = new Image(512, 512);
    picture.onload = () => {
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = 512;
      canvas.getContext("2d").drawImage(picture, 0, 0, 512, 512);
      done([{ src: canvas.toDataURL("image/png"), sizes: "512x512", type: "image/png" }]);
    };
    const art = $(".art", card).cloneNode(true);
    for (const side of ["width", "height"]) art.setAttribute(side, "512");
    picture.src = `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(art))}`;
  }

  /* ---- the polling ---- */

  let pollTimer = 0, polls = 0, pollFailures = 0, polling = false, signature = null, crowd = 0;

  async function fetchText(url, accept) {
    const answer = await fetch(url, { cache: "no-store", headers: { accept }, signal: AbortSignal.timeout?.(FETCH_MS) });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.text();
  }

  async function poll() {
    if (polling) return;
    polling = true;
    clearTimeout(pollTimer);
    try {
      await update(JSON.parse(await fetchText(new URL("./status-json.xsl" + location.search, document.baseURI), "application/json")).icestats);
      if (pollFailures > 1) setText(notice, "");
      pollFailures = 0;
    } catch (error) {
      pollFailures += 1;
      if (pollFailures > 1) setText(notice, "The server does not answer. Trying again…");
    }
    polling = false;
    if (document.hidden && wanted === null) return;  // neither visible nor playing: visibilitychange polls again
    const rest = (document.hidden ? POLL_HIDDEN_MS : POLL_MS) + 1000 * crowd / LISTENERS_PER_EXTRA_S;
    pollTimer = setTimeout(poll, Math.min(POLL_MAX_MS, rest * 2 ** pollFailures) * (0.9 + Math.random() / 5));
  }

  async function update(stats) {
    const sources = new Map([].concat(stats.source ?? []).map((source) => [mountOf(source), source]));
    const now = [...sources].map(([mount, source]) => [mount, source.stream_start_iso8601, source.server_name]).sort().join("\n");
    const cards = stations();
    const same = signature === null ? cards.length === sources.size && cards.every((card) => sources.has(card.dataset.mount)) : now === signature;
    polls += 1;  // the JSON does not say that a mount waits for its source; the page does
    if (!same || polls % REFRESH_EVERY === 0 || $(".waiting", list)) await refresh();
    signature = now;
    for (const [mount, source] of sources) if (station(mount)) fill(station(mount), source);
    tally();
    show();
  }

  function mountOf(source) {  // the mount is only in the listen URL, percent-encoded or not; a card may have that URL
    const card = stations().find((one) => $("[data-url]", one)?.textContent === source.listenurl);
    if (card) return card.dataset.mount;
    const path = String(source.listenurl).replace(/^[a-z]+:\/\/[^/]*/i, "");
    if (station(path)) return path;
    try { return decodeURIComponent(path); } catch { return path; }
  }

  function fill(card, source) {
    const [artist, title] = split(String(source.artist ?? "").trim(), String(source.title ?? "").trim());
    const news = setText($("[data-title]", card), title) | setText($("[data-artist]", card), artist);
    const now = $(".now", card);
    now.hidden = title === "";
    card.toggleAttribute("data-titled", title !== "");
    now.classList.toggle("changed", Boolean(news));
    if (Number.isFinite(source.listeners)) setText($("[data-listeners]", card), String(source.listeners));
    if (Number.isFinite(source.listener_peak)) setText($("[data-peak]", card), String(source.listener_peak));
  }

  function split(artist, title) {
    const at = title.indexOf(" - ");
    if (artist || at < 1 || !title.slice(0, at).trim() || !title.slice(at + 3).trim()) return [artist, title];
    return [title.slice(0, at), title.slice(at + 3)];
  }

  function tally() {
    const cards = stations();
    crowd = cards.reduce((sum, card) => sum + Number($("[data-listeners]", card).textContent), 0);
    const numbers = $$("[data-tally] b");
    if (numbers.length !== 2) return;
    setText(numbers[0], String(cards.filter((card) => !card.classList.contains("waiting")).length));
    setText(numbers[1], String(crowd));
  }

  async function refresh() {  // mounts came, went or changed: take the new markup, keep cards that are the same
    // Who does not ask for HTML gets the stream at "/" if there is one, and Icecast's page at "/status.xsl".
    const page = new DOMParser().parseFromString(await fetchText(location.href, "text/html"), "text/html");
    const fresh = $("#stations", page);
    if (!fresh) return;
    const cards = $$(".station", fresh).map((next) => {
      const old = station(next.dataset.mount);
      if (old && old.dataset.revision === next.dataset.revision) return old;
      next.classList.toggle("fresh", !old);
      if (old) $(".elsewhere", next).open = $(".elsewhere", old).open;
      return next;
    });
    const focus = document.activeElement, home = focus.closest(".station"), at = home ? controls(home).indexOf(focus) : -1;
    const shape = fresh.className;
    if (shape !== list.className && shape !== "empty") for (const card of cards) $(".elsewhere", card).open = shape === "solo";
    list.className = shape;
    const next = cards.length ? cards : [...fresh.children];
    if (next.length !== list.children.length || next.some((node, at) => node !== list.children[at])) list.replaceChildren(...next);
    idleTitle = page.title;
    if (home && document.activeElement !== focus) {  // a node that is moved loses the focus too
      const kept = focus.isConnected ? focus : controls(station(home.dataset.mount) ?? list)[at];
      kept?.focus({ preventScroll: true });
    }
    for (const name of ["[data-tally]", "[data-nodes]"]) $(name)?.replaceChildren(...($(name, page)?.childNodes ?? []));
    settle();
  }

  const controls = (root) => $$("a, button, input, summary", root);  // all that may have the focus

  function settle() {  // after every change of the list
    for (const card of stations()) {
      if ("given" in card.dataset) continue;  // the operator says by which address listeners come
      setText($("[data-url]", card), decodeURI(href(card)));  // the address as this visitor reaches us, proxies included
      $("[data-copy]", card).dataset.copy = href(card);
    }
    setVolume(volume);
    lookAtHero();
    clock();
    show();
  }

  function clock() {
    for (const time of $$("[data-since]")) {
      const began = new Date(time.dateTime);
      const minutes = Math.max(0, Math.floor((Date.now() - began) / 60000));
      const days = Math.floor(minutes / 1440), hours = Math.floor(minutes / 60) % 24;
      setText(time, days ? `${days} d ${hours} h` : hours ? `${hours} h ${minutes % 60} min` : `${minutes} min`);
      time.title = began.toLocaleString();
    }
  }

  /* ---- the controls ---- */

  let volume = 80, muted = false;
  try { volume = Math.min(100, Math.max(0, Number(localStorage.getItem("volume") ?? 80))) || 0; } catch { /* no access to storage */ }

  function setVolume(next) {
    volume = next;
    audio.volume = (volume / 100) ** 2;  // loudness is perceived logarithmically
    audio.muted = muted;
    for (const input of $$("[data-volume]")) input.value = String(volume);
    for (const button of $$("[data-act=mute]")) {
      setIcon(button, muted || volume === 0 ? "muted" : "volume");
      button.setAttribute("aria-pressed", String(muted));
    }
    try { localStorage.setItem("volume", String(volume)); } catch { /* the next visit starts at the default */ }
  }

  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // there is no clipboard API without TLS
      const area = document.createElement("textarea");
      area.value = text;
      area.className = "unseen";
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    setText(button, "Copied");
    say("Copied");
    setTimeout(() => setText(button, "Copy"), 1600);
  }

  const ACTS = {
    toggle: (button) => {
      const mount = button.closest(".station").dataset.mount;
      if (mount === wanted) stop(); else play(mount);
    },
    bar: () => stop(),
    mute: () => { muted = !muted; setVolume(volume); },
    copy,
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-act]");
    if (button) ACTS[button.dataset.act](button);
  });
  document.addEventListener("input", (event) => { muted = false; setVolume(Number(event.target.value)); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { clock(); poll(); } });

  function step(by) {  // the next and previous keys go through the stations
    const cards = stations();
    const at = cards.findIndex((card) => card.dataset.mount === latest);
    if (cards.length) play(cards[(at + by + cards.length) % cards.length].dataset.mount);
  }
  const resume = () => { if (latest !== null) play(latest); };
  const KEYS = { play: resume, pause: stop, stop, nexttrack: () => step(1), previoustrack: () => step(-1) };
  for (const [key, act] of Object.entries(KEYS)) {
    try { navigator.mediaSession.setActionHandler(key, act); } catch { /* this browser has no such key */ }
  }

  const root = document.documentElement.classList;
  root.add("js");
  audio.volume = 0.5;
  if (audio.volume !== 0.5) root.add("no-volume");  // phones that only have their own keys
  settle();
  setInterval(clock, 20000);
  poll();
})();
