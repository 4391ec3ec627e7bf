// Mean, SD, PSNR and SSIM of a region, as numpy and `ldct.metrics.pixelwise` compute them.

// Mean and standard deviation in HU; sums of whole numbers are exact.
function moments(image, crop, region) {
  let [sum, squares] = [0, 0];
  for (let row = region.top; row < region.top + region.rows; row += 1) {
    const start = indexOf(crop, row, region.left);
    for (let i = start; i < start + region.columns; i += 1) {
      sum += image[i];
      squares += image[i] * image[i];
    }
  }
  const count = region.rows * region.columns;
  const mean = sum / count;
  return { mean, sd: Math.sqrt(Math.max(0, squares / count - mean * mean)) };
}

// The region in units of the protocol's window.
function unit(image, crop, region, { window: [lower, upper], clip }) {
  const values = new Float64Array(region.rows * region.columns);
  for (let row = 0, i = 0; row < region.rows; row += 1) {
    const start = indexOf(crop, region.top + row, region.left);
    for (let column = 0; column < region.columns; column += 1, i += 1) {
      const value = (image[start + column] - lower) / (upper - lower);
      values[i] = clip ? clamp(value, 0, 1) : value;
    }
  }
  return values;
}

function psnr(prediction, ndct, range) {
  let sum = 0;
  for (let i = 0; i < ndct.length; i += 1) sum += (prediction[i] - ndct[i]) ** 2;
  return 10 * Math.log10(range ** 2 / (sum / ndct.length));
}

// Weighted means over a window, wherever it fits: along rows, then along columns.
function means(values, { rows, columns }, weights) {
  const side = weights.length;
  const inner = columns - side + 1;
  const along = new Float64Array(rows * inner);
  for (let row = 0, i = 0; row < rows; row += 1) {
    for (let at = row * columns; at < row * columns + inner; at += 1, i += 1) {
      let sum = 0;
      for (let k = 0; k < side; k += 1) sum += weights[k] * values[at + k];
      along[i] = sum;
    }
  }
  const found = new Float64Array((rows - side + 1) * inner);
  for (let i = 0; i < found.length; i += 1) {
    let sum = 0;
    for (let k = 0; k < side; k += 1) sum += weights[k] * along[i + k * inner];
    found[i] = sum;
  }
  return found;
}

// Structural similarity of scikit-image; NaN where its window does not fit, or the range is none.
function ssim(x, y, box, { weights, covariance, ssim_range: asked }) {
  const spread = () => x.reduce((a, b) => Math.max(a, b)) - x.reduce((a, b) => Math.min(a, b));
  const range = asked === 'prediction' ? spread() : asked;
  if (Math.min(box.rows, box.columns) < weights.length || range === 0) return NaN;
  const [c1, c2] = [(0.01 * range) ** 2, (0.03 * range) ** 2];
  const xy = x.map((value, i) => value * y[i]);
  const xx_yy = x.map((value, i) => value * value + y[i] * y[i]);
  const [ux, uy, uxy, uxx_yy] = [x, y, xy, xx_yy].map((values) => means(values, box, weights));
  let sum = 0;
  for (let i = 0; i < ux.length; i += 1) {
    const product = ux[i] * uy[i];
    const squares = ux[i] * ux[i] + uy[i] * uy[i];
    const both = covariance * (uxy[i] - product);
    const variances = covariance * (uxx_yy[i] - squares);
    sum += ((2 * product + c1) * (2 * both + c2)) / ((squares + c1) * (variances + c2));
  }
  return sum / ux.length;
}

// One row for each image; `equal`: both doses are, and there is nothing to score.
function scoresOf(images, crop, region, protocol) {
  const [ldct, ndct] = [images.LDCT, images.NDCT].map((image) => unit(image, crop, region, protocol));
  const equal = ndct.every((value, i) => value === ldct[i]);
  return Object.entries(images).map(([name, image]) => {
    const found = { name, equal, ...moments(image, crop, region), psnr: NaN, ssim: NaN };
    if (equal || name === 'NDCT') return found;
    const prediction = unit(image, crop, region, protocol);
    found.psnr = psnr(prediction, ndct, protocol.psnr_range);
    found.ssim = ssim(prediction, ndct, region, protocol);
    return found;
  });
}
