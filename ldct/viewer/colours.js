// Tables of colours for every int16 value, at index value + 32768, as canvases hold them.

function tableOf(colourOf) {
  const table = new Uint32Array(65536);
  for (let value = -32768; value < 32768; value += 1) {
    const [red, green, blue] = colourOf(value);
    table[value + 32768] = (255 << 24) | (blue << 16) | (green << 8) | red;
  }
  return table;
}

// Black at the lower bound of a window, white at the upper one.
function greys({ level, width }) {
  const lower = level - width / 2;
  return tableOf((hu) => {
    const grey = Math.round(255 * clamp((hu - lower) / width, 0, 1));
    return [grey, grey, grey];
  });
}

// Differences: blue below zero, white at zero, red above; full at `limit`.
function blueToRed(limit) {
  const [blue, red] = [[5, 72, 158], [178, 24, 43]];
  return tableOf((hu) => {
    const part = clamp(hu / limit, -1, 1);
    return (part < 0 ? blue : red).map((full) => Math.round(255 - (255 - full) * Math.abs(part)));
  });
}
