// Charts on canvas. Each draws the newest value at the right edge; colours are names of CSS variables.

const PADDING = 3;

// Series above a common zero line, with a grid. `most` fixes the top; `spread` is the least
// range shown around the values, instead of from zero.
export function area(canvas, series, { length, most, spread, unit = '', format = compact }) {
  const { context, width, height, color } = prepare(canvas);
  const all = series.flatMap(({ values }) => values);
  const [low, high] = most ? [0, most] : spread ? around(all, spread) : [0, Math.max(...all) * 1.15 || 1];
  context.font = '11px ui-sans-serif, system-ui, sans-serif';
  context.textBaseline = 'bottom';
  const lines = height > 120 ? 4 : 2;
  for (let n = 0; n <= lines; n++) {
    const y = Math.round(PADDING + ((height - 2 * PADDING) * n) / lines) + 0.5;
    context.strokeStyle = color('--line');
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(width, y);
    context.stroke();
  }
  for (const { values, color: name } of series) {
    const points = place(values, length, width, (value) => height - PADDING - ((value - low) / (high - low)) * (height - 2 * PADDING));
    fill(context, points, height - PADDING, color(name), height);
    line(context, points, color(name), 1.8);
    dot(context, points.at(-1), color(name));
  }
  context.fillStyle = color('--muted');
  context.textBaseline = 'top';
  context.fillText(`${format(high)}${unit && ` ${unit}`}`, 2, PADDING + 3);
  if (spread) {
    context.textBaseline = 'bottom';
    context.fillText(`${format(low)}${unit && ` ${unit}`}`, 2, height - PADDING - 3);
  }
}

// One series upwards, another downwards, on one scale.
export function mirrored(canvas, up, down, length) {
  const { context, width, height, color } = prepare(canvas);
  const middle = Math.round(height / 2) + 0.5;
  const high = Math.max(...up, ...down, 1) * 1.1;
  const half = height / 2 - PADDING;
  context.strokeStyle = color('--line');
  context.beginPath();
  context.moveTo(0, middle);
  context.lineTo(width, middle);
  context.stroke();
  for (const [values, sign, name] of [[up, -1, '--accent'], [down, 1, '--second']]) {
    const points = place(values, length, width, (value) => middle + sign * (value / high) * half);
    fill(context, points, middle, color(name), height);
    line(context, points, color(name), 1.5);
  }
}

// A small line of a history, scaled to itself.
export function spark(canvas, values, length, name) {
  const { context, width, height, color } = prepare(canvas);
  const [low, high] = around(values, 1e-9);
  const flat = Math.max(...values) === Math.min(...values);
  const points = place(values, length, width, (value) =>
    (flat ? height / 2 : height - PADDING - ((value - low) / (high - low)) * (height - 2 * PADDING)));
  line(context, points, color(flat ? '--line' : name), 1.4);
  dot(context, points.at(-1), color(flat ? '--muted' : name), 1.8);
}

function prepare(canvas) {
  const scale = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const [across, down] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== across || canvas.height !== down) Object.assign(canvas, { width: across, height: down });
  const context = canvas.getContext('2d');
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  const style = getComputedStyle(document.documentElement);
  return { context, width, height, color: (name) => style.getPropertyValue(name).trim() };
}

// Points of the values: the newest at the right edge, as far apart as `length` of them would be.
function place(values, length, width, y) {
  const step = (width - 2 * PADDING) / (length - 1);
  return values.map((value, n) => [width - PADDING - (values.length - 1 - n) * step, y(value)]);
}

function trace(context, points) {
  context.beginPath();
  points.forEach(([x, y], n) => {
    if (n === 0) return context.moveTo(x, y);
    const [before, level] = points[n - 1];
    const between = (before + x) / 2;
    return context.bezierCurveTo(between, level, between, y, x, y);
  });
}

function line(context, points, color, width) {
  context.strokeStyle = color;
  context.lineWidth = width;
  context.lineJoin = 'round';
  trace(context, points);
  context.stroke();
}

function fill(context, points, base, color, height) {
  if (points.length < 2) return;
  const up = points.some(([, y]) => y < base);
  const gradient = context.createLinearGradient(0, up ? 0 : height, 0, base);
  gradient.addColorStop(0, `${color}59`);
  gradient.addColorStop(1, `${color}08`);
  context.fillStyle = gradient;
  trace(context, points);
  context.lineTo(points.at(-1)[0], base);
  context.lineTo(points[0][0], base);
  context.fill();
}

function dot(context, point, color, radius = 2.6) {
  if (!point) return;
  context.fillStyle = color;
  context.beginPath();
  context.arc(...point, radius, 0, 2 * Math.PI);
  context.fill();
}

// A range around values that is at least `spread` wide.
function around(values, spread) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = Math.max((high - low) * 0.15, (spread - (high - low)) / 2, 0);
  return [Math.max(low - room, 0), high + room];
}

function compact(value) {
  return value >= 10_000 ? `${Math.round(value / 1000)}k` : String(Math.round(value * 10) / 10);
}
