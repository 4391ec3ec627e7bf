// One state says what is seen; every change of it draws all images anew, so that they stay together.

const root = document.currentScript.closest('.viewer');
const find = (selector) => root.querySelector(selector);
const { slices, windows, protocol } = JSON.parse(find('.viewer-slices').textContent);
const names = Object.keys(slices[0].images); // LDCT first, NDCT last
const controls = find('.viewer-controls').elements;
const panels = find('.viewer-panels');

const MOST_HU = 32767;
const SWAP_MS = 800;
const decoded = new Map(); // slice to images, once asked for
let images = null; // of the slice that is seen; none while they are unpacked
let figures = []; // of the images that are seen
let shown = 0; // while blinking: which of a and b
let timer = null;
let drag = null; // where the pointer went down, while it is
let waiting = false; // for the next frame of the screen
let scored = ''; // which region the table is of

const levelOf = ([lower, upper]) => ({ level: (lower + upper) / 2, width: upper - lower });

function wholeOf(slice) {
  const crop = boxOf(slice.crop);
  return { zoom: 1, row: crop.top + crop.rows / 2, column: crop.left + crop.columns / 2 };
}

const startOf = (slice) => ({ slice, ...wholeOf(slice), region: boxOf(slice.region) });

const stateAtFirst = () => ({
  ...startOf(slices[0]),
  ...levelOf(protocol.window),
  difference: false,
  blink: false,
  a: names[names.length - 2], // the last method, beside NDCT
  b: 'NDCT',
});
const state = stateAtFirst();

// Part of the slice that is seen: whole pixels within the crop.
function view() {
  const crop = boxOf(state.slice.crop);
  const rows = Math.max(1, Math.round(crop.rows / state.zoom));
  const columns = Math.max(1, Math.round(crop.columns / state.zoom));
  return {
    top: clamp(Math.round(state.row - rows / 2), crop.top, crop.top + crop.rows - rows),
    left: clamp(Math.round(state.column - columns / 2), crop.left, crop.left + crop.columns - columns),
    rows,
    columns,
  };
}

// ---------------------------------------------------------------- drawing

function element(name, parent, properties = {}) {
  const made = Object.assign(document.createElement(name), properties);
  parent.append(made);
  return made;
}

function setAttributes(made, attributes) {
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
}

function svgElement(name, parent, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  setAttributes(made, attributes);
  parent.append(made);
  return made;
}

// A canvas of whole pixels, and above it the marks; `fixed` names a window that stays.
function addFrame(figure, fixed) {
  const frame = element('div', figure, { className: 'viewer-frame' });
  const canvas = element('canvas', frame);
  const svg = svgElement('svg', frame, { 'aria-hidden': 'true' });
  const { mark } = state.slice;
  // A pixel's centre lies half a pixel behind its first edge.
  if (mark) svgElement('circle', svg, { cx: mark[0] + 0.5, cy: mark[1] + 0.5, r: mark[2] });
  const rect = svgElement('rect', svg, {});
  if (fixed) element('span', frame, { textContent: `${fixed} window` });
  return { frame, canvas, svg, rect, fixed };
}

// A figure for every image, or one in which two images blink.
function build() {
  panels.replaceChildren();
  panels.classList.toggle('is-one', state.blink);
  const fixed = state.slice.second ? [null, state.slice.second] : [null];
  figures = (state.blink ? [null] : names).map((own) => {
    const figure = element('figure', panels);
    const caption = element('figcaption', figure);
    const name = () => own ?? (shown ? state.b : state.a);
    return { name, caption, frames: fixed.map((window) => addFrame(figure, window)) };
  });
}

// NDCT itself stays as it is.
const minusNdct = (name) => state.difference && name !== 'NDCT';

function drawPixels(canvas, name, part, table) {
  const crop = boxOf(state.slice.crop);
  const [image, ndct] = [images[name], minusNdct(name) ? images.NDCT : null];
  Object.assign(canvas, { width: part.columns, height: part.rows });
  const context = canvas.getContext('2d');
  const pixels = context.createImageData(part.columns, part.rows);
  const colours = new Uint32Array(pixels.data.buffer);
  for (let row = 0, i = 0; row < part.rows; row += 1) {
    let at = indexOf(crop, part.top + row, part.left);
    for (let column = 0; column < part.columns; column += 1, i += 1, at += 1) {
      const value = ndct ? clamp(image[at] - ndct[at], -MOST_HU, MOST_HU) : image[at];
      colours[i] = table[value + 32768];
    }
  }
  context.putImageData(pixels, 0, 0);
  canvas.classList.toggle('is-enlarged', canvas.clientWidth > part.columns);
}

function drawImages() {
  const [part, limit] = [view(), Math.max(1, Math.round(state.width / 4))];
  const { top, left, rows, columns } = state.region;
  const [grey, colour] = [greys(state), state.difference && blueToRed(limit)];
  const second = state.slice.second && greys(levelOf(windows[state.slice.second]));
  figures.forEach(({ name, caption, frames }) => {
    const minus = minusNdct(name());
    const title = name() + (minus ? ' − NDCT' : '');
    caption.textContent = title;
    frames.forEach(({ frame, canvas, svg, rect, fixed }) => {
      frame.hidden = Boolean(fixed) && minus; // a difference has no window
      drawPixels(canvas, name(), part, minus ? colour : (fixed ? second : grey));
      setAttributes(canvas, { role: 'img', 'aria-label': title + (fixed ? `, ${fixed} window` : '') });
      setAttributes(svg, { viewBox: `${part.left} ${part.top} ${part.columns} ${part.rows}` });
      setAttributes(rect, { x: left, y: top, width: columns, height: rows });
    });
  });
  const legend = find('.viewer-legend');
  legend.hidden = !state.difference;
  legend.textContent = `Blue −${limit} HU, white 0, red +${limit} HU: a quarter of the window's width.`;
}

function text(value, digits) {
  if (Number.isNaN(value)) return '–';
  if (!Number.isFinite(value)) return '∞';
  const rounded = Number(value.toFixed(digits)) + 0; // no −0
  return rounded.toFixed(digits).replace('-', '−');
}

function drawTable() {
  const { slice, region } = state;
  const key = [slice.id, ...Object.values(region)].join();
  if (drag || !images || key === scored) return;
  scored = key;
  const found = scoresOf(images, boxOf(slice.crop), region, protocol);
  const small = Math.min(region.rows, region.columns) < protocol.weights.length;
  find('caption').textContent = `Region of ${region.rows} × ${region.columns} pixels, first row ${region.top}, `
    + `first column ${region.left}${found[0].equal ? '; within the window both doses are equal here' : ''}`
    + `${small ? '; too small for the window of SSIM' : ''}`;
  find('tbody').replaceChildren();
  found.forEach((score) => {
    const line = element('tr', find('tbody'));
    element('th', line, { scope: 'row', textContent: score.name });
    [['mean', 1], ['sd', 1], ['psnr', 2], ['ssim', 3]].forEach(([name, digits]) => {
      element('td', line, { textContent: text(score[name], digits) }).dataset[name] = score[name];
    });
  });
}

function showControls() {
  const { slice, level, width, a, b, region } = state;
  Object.entries({ slice: slice.id, level, width, a, b, ...region }).forEach(([name, value]) => {
    controls[name].value = value;
  });
  const preset = Object.keys(windows).find((name) => {
    const known = levelOf(windows[name]);
    return known.level === level && known.width === width;
  });
  controls.preset.value = preset ?? '';
  controls.difference.checked = state.difference;
  controls.blink.checked = state.blink;
  controls.swap.disabled = !state.blink;
}

// ---------------------------------------------------------------- changes

function draw() {
  showControls();
  find('.viewer-link').href = fragment();
  if (waiting || !images) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (!images) return;
    drawImages();
    setTimeout(drawTable); // a whole slice takes a second: images first
  });
}

function change(changes) {
  Object.assign(state, changes);
  draw();
}

// Show another slice, or other panels of it.
async function show(changes) {
  Object.assign(state, changes);
  const { slice } = state;
  images = null;
  showControls();
  if (!decoded.has(slice)) decoded.set(slice, decodeSlice(slice));
  const found = await decoded.get(slice);
  if (slice !== state.slice) return; // another one was asked for meanwhile
  images = found;
  build();
  setTimer(state.blink);
  find('.viewer-status').textContent = slice.title;
  draw();
}

function swap() {
  shown = 1 - shown;
  draw();
}

function setTimer(on) {
  clearInterval(timer);
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  timer = on && !still ? setInterval(swap, SWAP_MS) : null;
}
