// Images as `ldct.viewer.pack` packs them: int16 HU, row by row. Rows and columns are those of the whole
// slice everywhere, also in crops; a box is { top, left, rows, columns }.

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

const boxOf = ([top, bottom, left, right]) => ({ top, left, rows: bottom - top, columns: right - left });

// Where a pixel of the slice lies in the array of its crop.
const indexOf = (crop, row, column) => (row - crop.top) * crop.columns + column - crop.left;

// The part of a box that lies within a crop: whole pixels, at least one.
function within({ top, left, rows, columns }, crop) {
  const first = clamp(Math.round(top), crop.top, crop.top + crop.rows - 1);
  const start = clamp(Math.round(left), crop.left, crop.left + crop.columns - 1);
  return {
    top: first,
    left: start,
    rows: clamp(Math.round(rows), 1, crop.top + crop.rows - first),
    columns: clamp(Math.round(columns), 1, crop.left + crop.columns - start),
  };
}

// The image that `encode` was given: gzip, low bytes before high bytes, signs folded.
async function decode(entry, ldct) {
  const packed = Uint8Array.from(atob(entry.data), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const size = bytes.length / 2;
  const image = new Int16Array(size); // wraps around, as the differences do
  for (let i = 0, before = 0; i < size; i += 1) {
    const folded = bytes[i] | (bytes[i + size] << 8);
    const difference = (folded >>> 1) ^ -(folded & 1);
    image[i] = difference + (entry.to_ldct ? ldct[i] : before);
    before = image[i];
  }
  return image;
}

// Name to image; LDCT is the first, and needs no other.
async function decodeSlice(slice) {
  const images = {};
  for (const [name, entry] of Object.entries(slice.images)) images[name] = await decode(entry, images.LDCT);
  return images;
}
