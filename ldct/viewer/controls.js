// What changes the state: buttons and fields, keys, the pointer, and links.

const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8];
const LINK = '#viewer&';

const step = (by) => {
  const slice = slices[slices.indexOf(state.slice) + by];
  if (slice) show(startOf(slice));
};

const setWindow = (level, width) => change({
  level: clamp(level, -MOST_HU, MOST_HU),
  width: clamp(Math.round(width), 1, 2 * MOST_HU),
});

const setPreset = (name) => {
  const { level, width } = levelOf(windows[name]);
  setWindow(level, width);
};

const zoomBy = (by) => change({ zoom: ZOOMS[clamp(ZOOMS.indexOf(state.zoom) + by, 0, ZOOMS.length - 1)] });

// The centre stays where a view can have it, so that the next move is seen.
function moveTo(row, column) {
  Object.assign(state, { row, column });
  const { top, left, rows, columns } = view();
  change({ row: top + rows / 2, column: left + columns / 2 });
}

function moveBy(down, right) {
  const { rows, columns } = view();
  moveTo(state.row + (down * rows) / 8, state.column + (right * columns) / 8);
}

const setRegion = (box) => change({ region: within(box, boxOf(state.slice.crop)) });

function setBlink(blink) {
  shown = 0;
  show({ blink });
}

function swapByHand() {
  setTimer(false); // who swaps by hand sets the pace
  if (state.blink) swap();
}

// ---------------------------------------------------------------- buttons and fields

const BUTTONS = {
  previous: () => step(-1),
  next: () => step(1),
  closer: () => zoomBy(1),
  farther: () => zoomBy(-1),
  whole: () => change(wholeOf(state.slice)),
  first: () => setRegion(boxOf(state.slice.region)),
  swap: swapByHand,
};

const number = (name) => controls[name].valueAsNumber || 0;
const regionOfFields = () => setRegion(
  { top: number('top'), left: number('left'), rows: number('rows'), columns: number('columns') },
);
const FIELDS = {
  slice: () => show(startOf(slices[controls.slice.selectedIndex])),
  preset: () => setPreset(controls.preset.value),
  level: () => setWindow(number('level'), state.width),
  width: () => setWindow(state.level, number('width')),
  difference: () => change({ difference: controls.difference.checked }),
  blink: () => setBlink(controls.blink.checked),
  a: () => change({ a: controls.a.value }),
  b: () => change({ b: controls.b.value }),
  top: regionOfFields,
  left: regionOfFields,
  rows: regionOfFields,
  columns: regionOfFields,
};

// ---------------------------------------------------------------- keys

function nextPreset() {
  const all = Object.keys(windows);
  setPreset(all[(all.indexOf(controls.preset.value) + 1) % all.length]);
}

const KEYS = {
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
  'Shift ArrowLeft': () => moveBy(0, -1),
  'Shift ArrowRight': () => moveBy(0, 1),
  'Shift ArrowUp': () => moveBy(-1, 0),
  'Shift ArrowDown': () => moveBy(1, 0),
  '+': () => zoomBy(1),
  '=': () => zoomBy(1), // where + needs Shift
  '-': () => zoomBy(-1),
  0: BUTTONS.whole,
  '[': () => setWindow(state.level, state.width / 1.1),
  ']': () => setWindow(state.level, state.width * 1.1 + 1),
  ',': () => setWindow(state.level - 10, state.width),
  '.': () => setWindow(state.level + 10, state.width),
  p: nextPreset,
  d: () => change({ difference: !state.difference }),
  b: () => setBlink(!state.blink),
  s: swapByHand,
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const arrow = event.key.startsWith('Arrow');
  const key = arrow ? (event.shiftKey ? 'Shift ' : '') + event.key : event.key.toLowerCase();
  const image = names[key - 1]; // 1 to 9
  const act = KEYS[key] ?? (image && (() => change({ a: image })));
  if (!act) return;
  event.preventDefault();
  act();
}

// ---------------------------------------------------------------- pointer

// Pixel of the slice below the pointer; at the edge of the image where it has left it.
function pixelAt(event, canvas) {
  const part = view();
  const box = canvas.getBoundingClientRect();
  const [down, right] = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
  return {
    row: part.top + clamp(Math.floor(down * part.rows), 0, part.rows - 1),
    column: part.left + clamp(Math.floor(right * part.columns), 0, part.columns - 1),
  };
}

// What dragging does; dx, dy : screen pixels since the pointer went down, `from` : the state then.
const DRAGS = {
  window: ({ from }, dx, dy) => setWindow(
    Math.round(from.level + (dy * from.width) / 300),
    from.width * Math.exp(dx / 200),
  ),
  pan: ({ from, perPixel }, dx, dy) => moveTo(from.row - dy * perPixel, from.column - dx * perPixel),
  region: ({ first }, dx, dy, here) => setRegion({
    top: Math.min(first.row, here.row),
    left: Math.min(first.column, here.column),
    rows: Math.abs(first.row - here.row) + 1,
    columns: Math.abs(first.column - here.column) + 1,
  }),
};

function onDown(event) {
  const [canvas, tool] = [event.target.closest('canvas'), controls.tool.value];
  if (!canvas || !images || tool === 'scroll' || event.button !== 0) return;
  canvas.setPointerCapture(event.pointerId);
  const perPixel = view().columns / canvas.clientWidth;
  const [x, y] = [event.clientX, event.clientY];
  drag = { tool, canvas, x, y, perPixel, from: { ...state }, first: pixelAt(event, canvas) };
}

function onMove(event) {
  if (drag) DRAGS[drag.tool](drag, event.clientX - drag.x, event.clientY - drag.y, pixelAt(event, drag.canvas));
  const canvas = event.target.closest('canvas');
  const figure = figures.find(({ frames }) => frames.some((frame) => frame.canvas === canvas));
  if (!figure || !images) return;
  const { row, column } = pixelAt(event, canvas);
  const at = indexOf(boxOf(state.slice.crop), row, column);
  const [own, ndct] = [figure.name(), 'NDCT'].map((name) => `${name} ${text(images[name][at], 0)} HU`);
  find('.viewer-pointed').value = `Row ${row}, column ${column}: ${own}, ${ndct}`;
}

function onUp() {
  drag = null;
  draw();
}

// A pinch arrives as a wheel with the control key; the wheel alone scrolls the page.
function onWheel(event) {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoomBy(event.deltaY < 0 ? 1 : -1);
}

// ---------------------------------------------------------------- links

function fragment() {
  const { slice, level, width, zoom, row, column, region, difference, blink, a, b } = state;
  const { top, left, rows, columns } = region;
  const told = { slice: slice.id, level, width, zoom, at: [row, column], region: [top, left, rows, columns] };
  return LINK + new URLSearchParams({ ...told, difference, blink, a, b });
}

// What a link says; what it does not say, or says wrongly, is as at first.
function stateOf(link) {
  const told = new URLSearchParams(link);
  const numbers = (key, otherwise) => {
    const found = (told.get(key) || 'none').split(',').map(Number);
    return found.length === otherwise.length && found.every(Number.isFinite) ? found : otherwise;
  };
  const slice = slices.find(({ id }) => id === told.get('slice')) ?? slices[0];
  const first = { ...stateAtFirst(), ...startOf(slice) };
  const [width] = numbers('width', [first.width]);
  const [zoom] = numbers('zoom', [1]);
  const [row, column] = numbers('at', [first.row, first.column]);
  const { top, left, rows, columns } = first.region;
  const region = numbers('region', [top, left, rows, columns]);
  const image = (key) => (names.includes(told.get(key)) ? told.get(key) : first[key]);
  return {
    ...first,
    level: numbers('level', [first.level])[0],
    width: Math.max(1, width),
    zoom: ZOOMS.includes(zoom) ? zoom : 1,
    row,
    column,
    region: within({ top: region[0], left: region[1], rows: region[2], columns: region[3] }, boxOf(slice.crop)),
    difference: told.get('difference') === 'true',
    blink: told.get('blink') === 'true',
    a: image('a'),
    b: image('b'),
  };
}

function restore() {
  if (!location.hash.startsWith(LINK)) return false;
  show(stateOf(location.hash.slice(LINK.length))).then(() => root.scrollIntoView());
  return true;
}

// ---------------------------------------------------------------- start

function start() {
  const addOptions = (select, options) => options.forEach(([value, textContent]) => {
    element('option', select, { value, textContent });
  });
  addOptions(controls.slice, slices.map(({ id, title }) => [id, title]));
  addOptions(controls.preset, Object.keys(windows).map((name) => [name, name]));
  element('option', controls.preset, { value: '', textContent: 'own', disabled: true });
  ['a', 'b'].forEach((key) => addOptions(controls[key], names.map((name) => [name, name])));
  Object.entries(BUTTONS).forEach(([name, act]) => controls[name].addEventListener('click', act));
  Object.entries(FIELDS).forEach(([name, act]) => controls[name].addEventListener('change', act));
  // A finger scrolls, until another use of dragging is chosen.
  controls.tool.value = matchMedia('(pointer: coarse)').matches ? 'scroll' : 'window';
  const tellTool = () => { panels.dataset.tool = controls.tool.value; };
  controls.tool.forEach((radio) => radio.addEventListener('change', tellTool));
  tellTool();
  find('.viewer-controls').addEventListener('submit', (event) => event.preventDefault());
  panels.addEventListener('keydown', onKey);
  panels.addEventListener('pointerdown', onDown);
  panels.addEventListener('pointermove', onMove);
  ['pointerup', 'pointercancel'].forEach((type) => panels.addEventListener(type, onUp));
  panels.addEventListener('wheel', onWheel, { passive: false });
  addEventListener('hashchange', restore);
  root.classList.add('is-live');
  if (!restore()) show({});
}

// Where a browser cannot unpack the slices, the picture stays.
if (typeof DecompressionStream !== 'undefined') start();
