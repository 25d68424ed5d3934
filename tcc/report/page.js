"use strict";
// The page of the report. Texts of the user are only set as text, never as HTML.
(() => {
  const SIDES = ["learner", "standard"];
  const LAYOUTS = ["side", "stack", "skeleton", "ghost"];
  const MAX_ZOOM = 8;
  const PAN = 0.1; // of the shown part, by one key
  const STEP_ZOOM = 1.5;
  const GHOST = "#cc79a7", LIGHT = "#f5f5f5", DARK = "#282828", PLAIN = "#e1e1e1";
  const LINES = 100; // the height of a picture, in widths of a line of the skeleton
  const AT_ONCE = 4; // pictures that are decoded at the same time

  const find = (id) => document.getElementById(id);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const take = (id) => {
    const element = find(id);
    const value = JSON.parse(element.textContent);
    element.remove();
    return value;
  };
  const data = take("data"), encoded = take("pictures");
  const { clips, rows, events, phases, curves, instructions, skeleton } = data;
  const rowTimes = rows.map((row) => clips.learner.times_s[row[0]]);
  const columns = { learner: 0, standard: 1 };
  const canvases = {}, pictures = { learner: [], standard: [] };
  for (const side of SIDES) canvases[side] = find(side);

  const state = {
    row: opening(),
    playing: false,
    time: 0, // of the learner while playing, s
    lastTick: 0, // ms
    shift: { learner: 0, standard: 0 }, // frames
    zero: { learner: 0, standard: 0 }, // indices of the frames at which the clocks are 0
    mirror: { learner: false, standard: false },
    swapped: false,
    skeletons: true,
    zoom: 1,
    centre: [0.5, 0.5], // of the shown part, in widths and heights of the picture
    instruction: null,
  };

  // The take-off, else the first matched row. The clocks are 0 here at first, and the page opens
  // here unless there is an instruction.
  function opening() {
    const takeoff = events.find((event) => event.name === "takeoff" && event.row !== null);
    return takeoff ? takeoff.row : Math.max(rows.findIndex((row) => row[2]), 0);
  }

  const order = () => (state.swapped ? ["standard", "learner"] : SIDES);
  const layout = () => find("layout").value;
  const isOverlay = () => ["skeleton", "ghost"].includes(layout());
  const indexOf = (side, row = state.row) =>
    clamp(rows[row][columns[side]] + state.shift[side], 0, clips[side].times_s.length - 1);
  const timeOf = (side) => clips[side].times_s[indexOf(side)];

  // --- Position and playback ---------------------------------------------------------------

  function go(row) {
    state.row = clamp(row, 0, rows.length - 1);
    state.time = rowTimes[state.row];
    show();
  }

  function step(count) {
    pause();
    go(state.row + count);
  }

  function stepEvent(direction) {
    const at = events.map((event) => event.row).filter((row) => row !== null);
    const ahead = at.filter((row) => direction * (row - state.row) > 0);
    if (ahead.length) go(direction > 0 ? Math.min(...ahead) : Math.max(...ahead));
  }

  // First row and end (exclusive) of what is played, and whether it is repeated.
  function range() {
    const { value } = find("loop");
    if (value === "" || value === "whole") return [0, rows.length, value === "whole"];
    return [...phases[value].rows, true];
  }

  function setLoop(value) {
    find("loop").value = value;
    const [start, end, repeats] = range();
    if (repeats && (state.row < start || state.row >= end)) go(start);
  }

  function loopHere() {
    const here = phases.findIndex(({ rows: [start, end] }) => start <= state.row && state.row < end);
    setLoop(find("loop").value !== "" || here < 0 ? "" : String(here));
  }

  function play() {
    const [start, end] = range();
    if (state.row < start || state.row >= end - 1) go(start);
    state.time = rowTimes[state.row];
    state.lastTick = performance.now();
    setPlaying(true);
    requestAnimationFrame(tick);
  }

  function pause() {
    setPlaying(false);
  }

  function setPlaying(playing) {
    state.playing = playing;
    find("play").setAttribute("aria-pressed", playing);
    find("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  function tick(now) {
    if (!state.playing) return;
    const [start, end, repeats] = range();
    const passed = clamp(now - state.lastTick, 0, 250) / 1000; // less after the page was hidden
    state.lastTick = now;
    state.time += passed * Number(find("speed").value);
    let row = state.row;
    while (row + 1 < end && rowTimes[row + 1] <= state.time) row += 1;
    const last = rowTimes[end - 1] - (rowTimes[end - 2] ?? rowTimes[end - 1]); // s, of the last frame
    const over = state.time - rowTimes[end - 1] - last;
    if (row < start || row >= end) {
      row = start;
      state.time = rowTimes[start];
    } else if (over >= 0 && repeats) {
      row = start;
      state.time = rowTimes[start] + Math.min(over, last);
    } else if (over >= 0) {
      go(end - 1);
      pause();
      return;
    }
    if (row !== state.row) {
      state.row = row;
      show();
    }
    requestAnimationFrame(tick);
  }

  function changeSpeed(direction) {
    const speed = find("speed");
    speed.selectedIndex = clamp(speed.selectedIndex + direction, 0, speed.options.length - 1);
  }

  // --- Pictures ----------------------------------------------------------------------------

  // Decode every picture once, those near the opening first.
  async function load() {
    const jobs = SIDES.flatMap((side) =>
      encoded[side].map((content, index) => ({ side, content, index })));
    const first = { learner: indexOf("learner"), standard: indexOf("standard") };
    const distance = (job) => Math.abs(job.index - first[job.side]);
    jobs.sort((a, b) => distance(b) - distance(a)); // taken from the end
    const total = jobs.length;
    let done = 0, failed = 0;
    const decode = async () => {
      while (jobs.length) {
        const { side, content, index } = jobs.pop();
        const picture = new Image();
        picture.src = `data:image/jpeg;base64,${content}`;
        try {
          await picture.decode();
          pictures[side][index] = picture;
        } catch {
          failed += 1;
        }
        done += 1;
        find("loading").textContent = `Loading pictures: ${done} of ${total}`;
        if (index === indexOf(side)) show();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, decode));
    for (const side of SIDES) encoded[side] = [];
    find("loading").textContent = failed ? `Pictures that can't be shown: ${failed}` : "";
    find("loading").hidden = !failed;
  }

  function fit() {
    const stage = find("stage"), work = find("work");
    const style = getComputedStyle(work);
    const gap = 8, wide = style.getPropertyValue("--wide").trim() === "1";
    const room = work.clientWidth - (wide ? 350 : 0);
    const tall = window.innerHeight * (wide ? 0.53 : 0.6);
    const shapes = SIDES.map((side) => clips[side].size[0] / clips[side].size[1]);
    const [base] = order();
    const ratio = window.devicePixelRatio || 1;
    stage.dataset.layout = isOverlay() ? "overlay" : layout();
    stage.classList.toggle("swapped", state.swapped);
    SIDES.forEach((side, i) => {
      let height = Math.min(tall, (room - gap) / (shapes[0] + shapes[1]));
      if (layout() === "stack") height = Math.min(tall * 0.75, room / shapes[i]);
      if (isOverlay()) height = Math.min(tall, room / shapes[i]);
      const canvas = canvases[side];
      canvas.parentElement.hidden = isOverlay() && side !== base;
      const [width, rounded] = [height * shapes[i], height].map((px) => Math.max(1, Math.floor(px)));
      canvas.style.width = `${width}px`;
      canvas.style.height = `${rounded}px`;
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(rounded * ratio);
      const caption = find(`${side}-figure`).querySelector("figcaption");
      caption.classList.toggle("narrow", (isOverlay() ? room / 2 : width) < 300);
      find(`${side}-figure`).style.maxWidth = isOverlay() ? "" : `${width}px`;
    });
  }

  // Draw the frame of one side; in an overlay, with the other side over it.
  function draw(side) {
    const canvas = canvases[side], context = canvas.getContext("2d");
    const [width, height] = clips[side].size;
    const scales = [(canvas.width / width) * state.zoom, (canvas.height / height) * state.zoom];
    const corner = state.centre.map((c) => c - 0.5 / state.zoom);
    const line = Math.max(2, canvas.height / LINES) / scales[1];
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = encoded[side].length || pictures[side].length ? DARK : PLAIN;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.setTransform(
      scales[0], 0, 0, scales[1], -corner[0] * width * scales[0], -corner[1] * height * scales[1]);
    const isDim = side === "standard" && !rows[state.row][2];
    flipped(context, side, () => drawPicture(context, side, isDim ? 0.55 : 1));
    if (layout() === "ghost") onBody(context, side, (ghost) => drawPicture(context, ghost, 0.5));
    flipped(context, side, () => {
      if (state.skeletons) drawSkeleton(context, side, line, false);
      drawMarks(context, side, line);
    });
    if (layout() === "skeleton") {
      onBody(context, side, (ghost, scale) => drawSkeleton(context, ghost, line / scale, true));
    }
  }

  function flipped(context, side, paint) {
    context.save();
    if (state.mirror[side]) context.transform(-1, 0, 0, 1, clips[side].size[0], 0);
    paint();
    context.restore();
  }

  // Paint the other side so that its hips and the size of its torso are those of the base.
  function onBody(context, base, paint) {
    const ghost = base === "learner" ? "standard" : "learner";
    const scale = torso(base) / torso(ghost);
    const [x, y] = hips(base), [ghostX, ghostY] = hips(ghost);
    context.save();
    context.transform(scale, 0, 0, scale, x - scale * ghostX, y - scale * ghostY);
    flipped(context, ghost, () => paint(ghost, scale));
    context.restore();
  }

  function drawPicture(context, side, alpha) {
    const picture = pictures[side][indexOf(side)];
    if (!picture) return;
    context.globalAlpha = alpha;
    context.drawImage(picture, 0, 0, ...clips[side].size);
    context.globalAlpha = 1;
  }

  // The joints of a frame: x, y of those that are seen, else null.
  function joints(side, index = indexOf(side)) {
    const { points, threshold } = clips[side], values = points[index];
    return Array.from({ length: 17 }, (_, joint) => {
      const [x, y, confidence] = values.slice(3 * joint, 3 * joint + 3);
      return x !== null && y !== null && confidence >= threshold ? [x, y] : null;
    });
  }

  const middle = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];

  // The middle of the hips as it is shown, mirrored or not; else the middle of the picture.
  function hips(side) {
    const points = joints(side), [width, height] = clips[side].size;
    const [x, y] =
      points[11] && points[12] ? middle(points[11], points[12]) : [width / 2, height / 2];
    return [state.mirror[side] ? width - x : x, y];
  }

  // Median length of the torso over the clip, px.
  const torsos = {};
  function torso(side) {
    if (!(side in torsos)) {
      const lengths = clips[side].points
        .map((_, index) => joints(side, index))
        .filter((points) => [5, 6, 11, 12].every((joint) => points[joint]))
        .map((points) => {
          const [a, b] = [middle(points[5], points[6]), middle(points[11], points[12])];
          return Math.hypot(a[0] - b[0], a[1] - b[1]);
        })
        .sort((a, b) => a - b);
      torsos[side] = lengths[lengths.length >> 1] || clips[side].size[1];
    }
    return torsos[side];
  }

  function stroke(context, ends, width, color) {
    context.beginPath();
    context.moveTo(...ends[0]);
    context.lineTo(...ends[1]);
    context.lineWidth = width;
    context.strokeStyle = color;
    context.stroke();
  }

  function disc(context, [x, y], radius, color) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = color;
    context.fill();
  }

  // The skater's left is one line, her right a double line; a ghost is dashed and has one colour.
  function drawSkeleton(context, side, line, isGhost) {
    const points = joints(side);
    const limbs = skeleton.limbs.filter((limb) => limb.every((joint) => points[joint]));
    const face = skeleton.face.map((joint) => points[joint]).filter(Boolean);
    const head = face.length && [0, 1].map((axis) =>
      face.reduce((sum, point) => sum + point[axis], 0) / face.length);
    const ends = (limb) => limb.map((joint) => points[joint]);
    context.lineCap = "round";
    for (const limb of limbs) stroke(context, ends(limb), 1.8 * line, isGhost ? DARK : LIGHT);
    if (head) disc(context, head, 2.4 * line, isGhost ? DARK : LIGHT);
    if (isGhost) {
      context.lineCap = "butt";
      context.setLineDash([3 * line, line]);
    }
    for (const limb of limbs) {
      const [first, second] = limb.map((joint) => joint % 2);
      const part = first !== second ? "trunk" : second ? "left" : "right";
      stroke(context, ends(limb), line, isGhost ? GHOST : skeleton[part]);
      if (!isGhost && part === "right") stroke(context, ends(limb), line / 4, LIGHT);
    }
    context.setLineDash([]);
    if (head) disc(context, head, 2 * line, isGhost ? GHOST : skeleton.trunk);
  }

  // Rings around the joints of the chosen instruction.
  function drawMarks(context, side, line) {
    if (state.instruction === null) return;
    const points = joints(side);
    for (const joint of instructions[state.instruction].joints) {
      if (!points[joint]) continue;
      for (const [width, color] of [[1.6, DARK], [0.9, skeleton.mark]]) {
        context.beginPath();
        context.arc(...points[joint], 3 * line, 0, 2 * Math.PI);
        context.lineWidth = width * line;
        context.strokeStyle = color;
        context.stroke();
      }
    }
  }

  // --- Zoom --------------------------------------------------------------------------------

  // Zoom so that the point `at` (in widths and heights of the canvas) stays where it is.
  function zoomTo(zoom, at = [0.5, 0.5]) {
    const old = state.zoom;
    state.zoom = clamp(zoom, 1, MAX_ZOOM);
    moveTo(state.centre.map((c, i) => c + (at[i] - 0.5) * (1 / old - 1 / state.zoom)));
  }

  function moveTo(centre) {
    const half = 0.5 / state.zoom;
    state.centre = centre.map((c) => clamp(c, half, 1 - half));
    for (const side of SIDES) canvases[side].classList.toggle("zoomed", state.zoom > 1);
    show();
  }

  const pan = (x, y) =>
    moveTo([state.centre[0] + (x * PAN) / state.zoom, state.centre[1] + (y * PAN) / state.zoom]);

  function listenToZoom(canvas) {
    const pointers = new Map();
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    canvas.addEventListener("pointerdown", (event) => {
      pointers.set(event.pointerId, at(event));
      if (state.zoom > 1 || pointers.size > 1) canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!pointers.has(event.pointerId)) return;
      const old = [...pointers.values()], before = pointers.get(event.pointerId), now = at(event);
      pointers.set(event.pointerId, now);
      if (old.length === 1) {
        if (state.zoom > 1) {
          moveTo(state.centre.map((c, i) => c - (now[i] - before[i]) / state.zoom));
        }
        return;
      }
      const [a, b] = old, [c, d] = [...pointers.values()];
      const spread = Math.hypot(a[0] - b[0], a[1] - b[1]);
      if (spread > 0) zoomTo(state.zoom * Math.hypot(c[0] - d[0], c[1] - d[1]) / spread, middle(c, d));
    });
    for (const type of ["pointerup", "pointercancel", "pointerleave"]) {
      canvas.addEventListener(type, (event) => pointers.delete(event.pointerId));
    }
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      zoomTo(state.zoom * Math.exp(-event.deltaY / 200), at(event));
    }, { passive: false });
    canvas.addEventListener("dblclick", (event) => zoomTo(state.zoom > 1 ? 1 : 2.5, at(event)));
  }

  // --- Curves ------------------------------------------------------------------------------

  const plot = find("plot");
  let scales = null; // of the plot as it is drawn now

  function svg(name, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    plot.append(element);
    return element;
  }

  // Round steps for at most `count` ticks from low to high.
  function ticks(low, high, count) {
    const rough = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(rough));
    const size = [1, 2, 2.5, 5, 10].find((step) => step * power >= rough * 0.999) * power;
    const first = Math.ceil(low / size - 1e-9);
    const last = Math.floor(high / size + 1e-9);
    const digits = clamp(String(Number(size.toPrecision(2))).split(".")[1]?.length ?? 0, 0, 6);
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => {
      const value = (first + i) * size;
      return [value, value.toFixed(digits).replace(/^-(0(\.0*)?)$/, "$1")];
    });
  }

  const sentence = (text) => text[0].toUpperCase() + text.slice(1).replace(/[^.]$/, "$&.");
  const curve = () => curves[find("measure").value];

  function extent({ learner, standard, band }) {
    const kept = [learner, standard].flatMap(({ filtered, valid }) => filtered.filter((_, i) => valid[i]));
    const all = [learner, standard].flatMap(({ filtered }) => filtered);
    const given = (values) => values.filter((value) => value !== null);
    const chosen = given(kept).length ? [...kept, ...(band ? [...band.low, ...band.high] : [])] : all;
    const [low, high] = [Math.min(...given(chosen)), Math.max(...given(chosen))];
    const margin = 0.08 * (high - low) || 1;
    return Number.isFinite(low) ? [low - margin, high + margin] : [0, 1];
  }

  // Where the standard waits, it has no curve.
  const hasValue = (side, row) => side === "learner" || rows[row][2] === 1;

  // The path through the values where `keep` holds, with gaps elsewhere.
  function path(values, keep) {
    let result = "", isOn = false;
    values.forEach((value, row) => {
      const isKept = value !== null && keep(row);
      if (isKept) {
        const at = `${scales.x(row).toFixed(1)} ${scales.y(value).toFixed(1)}`;
        result += `${isOn ? "L" : "M"}${at}`;
        // A single value is a dot.
        if (!isOn && ((values[row + 1] ?? null) === null || !keep(row + 1))) result += `L${at}`;
      }
      isOn = isKept;
    });
    return result;
  }

  function drawCurve() {
    if (!curves.length) return;
    const { label, unit, zero, note, learner, standard, band } = curve();
    // A page that is not on a screen yet may have no size.
    const width = Math.max(plot.clientWidth, 100), height = Math.max(plot.clientHeight, 100);
    const box = { left: 44, right: width - 8, top: 22, bottom: height - 22 };
    const [low, high] = extent(curve());
    scales = {
      x: (row) => box.left + ((box.right - box.left) * row) / Math.max(rows.length - 1, 1),
      y: (value) => box.bottom - ((box.bottom - box.top) * (value - low)) / (high - low),
      row: (x) => Math.round(((x - box.left) / (box.right - box.left)) * (rows.length - 1)),
      box,
    };
    plot.replaceChildren();
    plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    plot.setAttribute("aria-label", `${label} of learner and standard, ${unit}`);
    phases.forEach(({ label: name, rows: [start, end] }, i) => {
      const [from, to] = [scales.x(start), scales.x(Math.min(end, rows.length - 1))];
      svg("rect", {
        class: i % 2 ? "phase odd" : "phase",
        x: from, y: 0, width: Math.max(to - from, 0), height: box.bottom,
      });
      if (to - from > 6.5 * name.length) {
        svg("text", { x: (from + to) / 2, y: 15, class: "middle" }, name);
      }
    });
    for (const [value, text] of ticks(low, high, 5)) {
      svg("path", { class: "grid", d: `M${box.left} ${scales.y(value)}H${box.right}` });
      svg("text", { x: box.left - 6, y: scales.y(value) + 4, class: "end" }, text);
    }
    const seconds = ticks(rowTimes[0], rowTimes[rows.length - 1], clamp(width / 90, 2, 10));
    for (const [value, text] of seconds) {
      const after = rowTimes.findIndex((time) => time >= value - 1e-9);
      const [t0, t1] = [rowTimes[Math.max(after - 1, 0)], rowTimes[after]];
      const row = t1 > t0 ? after - (t1 - value) / (t1 - t0) : after;
      svg("text", { x: scales.x(row), y: height - 5, class: "middle" }, text);
    }
    for (const event of events) {
      if (event.row === null) continue;
      const x = scales.x(event.row);
      svg("path", { class: "event", d: `M${x} ${box.top}V${box.bottom}` });
    }
    const clip = svg("clipPath", { id: "inside" });
    clip.append(svg("rect", {
      x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top,
    }));
    if (band) {
      const around = band.low.map((value, i) => value !== null && band.high[i] !== null);
      for (let start = 0; start < rows.length; start += 1) {
        if (!around[start]) continue;
        let end = start;
        while (around[end]) end += 1;
        const inside = (_, row) => start <= row && row < end;
        const points = (values) => values.filter(inside).map((value, i) => [start + i, value]);
        const edge = [...points(band.low), ...points(band.high).reverse()];
        const corners = edge.map(([row, value]) => `${scales.x(row)},${scales.y(value)}`);
        svg("polygon", { class: "band", "clip-path": "url(#inside)", points: corners.join(" ") });
        start = end;
      }
    }
    for (const [side, values] of [["standard", standard], ["learner", learner]]) {
      const isValid = (row) => values.valid[row] ?? 1;
      const nearInvalid = (row) => [row - 1, row, row + 1].some((near) => !isValid(near));
      for (const [kind, numbers, keep] of [
        ["raw", values.raw, () => true], ["invalid", values.filtered, nearInvalid],
        ["filtered", values.filtered, isValid],
      ]) {
        const isShown = (row) => hasValue(side, row) && keep(row);
        svg("path", { class: `${kind} ${side}`, "clip-path": "url(#inside)", d: path(numbers, isShown) });
      }
    }
    scales.cursor = svg("path", { class: "cursor" });
    scales.dots = Object.fromEntries(SIDES.map((side) => [side, svg("circle", { class: side, r: 5 })]));
    find("about").textContent = [zero, note].filter(Boolean).map(sentence).join(" ");
    find("band-legend").hidden = !band;
    showCursor();
  }

  function showCursor() {
    if (!scales) return;
    const { unit, band } = curve(), { row } = state, { x, y, box } = scales;
    const [low, high] = extent(curve());
    const digits = high - low >= 40 ? 0 : high - low >= 4 ? 1 : 2;
    const suffix = unit === "degrees" ? "°" : ` ${unit}`;
    scales.cursor.setAttribute("d", `M${x(row)} ${box.top - 4}V${box.bottom}`);
    for (const side of SIDES) {
      const { filtered, valid } = curve()[side], value = filtered[row];
      const isValid = value !== null && valid[row] && hasValue(side, row);
      const dot = scales.dots[side];
      dot.setAttribute("visibility", isValid ? "visible" : "hidden");
      if (isValid) {
        dot.setAttribute("cx", x(row));
        dot.setAttribute("cy", y(value));
      }
      find(`${side}-value`).textContent = isValid ? value.toFixed(digits) + suffix : "not reliable";
    }
    if (band) {
      const ends = [band.low[row], band.high[row]];
      find("band-value").textContent = ends.includes(null)
        ? "–" : `${ends.map((value) => value.toFixed(digits)).join(" to ")}${suffix}`;
    }
  }

  // --- What the page shows -----------------------------------------------------------------

  const signed = (value, digits) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
  const count = (number) => `${signed(number, 0)} ${Math.abs(number) === 1 ? "frame" : "frames"}`;

  function show() {
    for (const side of SIDES) {
      const clip = clips[side], canvas = canvases[side], index = indexOf(side);
      const frame = clip.first_frame + index, time = timeOf(side).toFixed(2);
      const tags = [];
      if (clip.mirrored !== state.mirror[side]) tags.push("mirror image");
      if (state.shift[side]) tags.push(count(state.shift[side]));
      if (side === "standard" && !rows[state.row][2]) tags.push("not matched here");
      canvas.dataset.frame = frame;
      canvas.dataset.index = index;
      canvas.setAttribute("aria-label", `${side}, frame ${frame}`);
      find(`${side}-where`).textContent = `frame ${frame} of ${clip.total_frames} · ${time} s`;
      find(`${side}-clock`).textContent =
        `${signed(timeOf(side) - clip.times_s[state.zero[side]], 2)} s`;
      find(`${side}-zero`).textContent = `since frame ${clip.first_frame + state.zero[side]}`;
      find(`${side}-tags`).textContent = tags.join(" · ");
      find(`${side}-shift`).textContent = state.shift[side] ? signed(state.shift[side], 0) : "0";
      find(`${side}-mirror`).setAttribute("aria-pressed", state.mirror[side]);
      if (!canvas.parentElement.hidden) draw(side);
    }
    const here = events.filter((event) => event.row === state.row).map((event) => event.label);
    const scrubber = find("scrubber");
    scrubber.value = state.row;
    scrubber.setAttribute("aria-valuetext",
      [find("learner-where").textContent, ...here].join(", "));
    find("skeletons").setAttribute("aria-pressed", state.skeletons);
    find("swap").setAttribute("aria-pressed", state.swapped);
    find("zoom").textContent = `${Math.round(100 * state.zoom)} %`;
    for (const button of document.querySelectorAll("[data-instruction]")) {
      const isChosen = Number(button.dataset.instruction) === state.instruction;
      button.setAttribute("aria-pressed", isChosen);
      button.closest(".card").classList.toggle("chosen", isChosen);
    }
    for (const button of document.querySelectorAll("[data-event]")) {
      button.classList.toggle("here", events[button.dataset.event].row === state.row);
    }
    for (const button of document.querySelectorAll("[data-phase]")) {
      const [start, end] = phases[button.dataset.phase].rows;
      button.classList.toggle("here", start <= state.row && state.row < end);
    }
    showCursor();
  }

  function showAll() {
    fit();
    drawCurve();
    show();
  }

  function change(update) {
    update();
    show();
  }

  function shift(side, frames) {
    const room = clips[side].times_s.length - 1;
    change(() => { state.shift[side] = clamp(state.shift[side] + frames, -room, room); });
  }

  function setZero() {
    change(() => { for (const side of SIDES) state.zero[side] = indexOf(side); });
  }

  function mirror(side) {
    change(() => { state.mirror[side] = !state.mirror[side]; });
  }

  function swap() {
    state.swapped = !state.swapped;
    fit();
    show();
  }

  function nextLayout() {
    find("layout").value = LAYOUTS[(LAYOUTS.indexOf(layout()) + 1) % LAYOUTS.length];
    fit();
    show();
  }

  function nextCurve() {
    const measure = find("measure");
    if (!measure) return;
    measure.selectedIndex = (measure.selectedIndex + 1) % curves.length;
    drawCurve();
  }

  // Mark the joints of an instruction and go to its frame; null: no instruction.
  function choose(instruction) {
    state.instruction = instruction;
    if (instruction === null) {
      show();
      return;
    }
    const { row, curve: name } = instructions[instruction];
    const named = curves.findIndex((item) => item.name === name);
    if (named >= 0) {
      find("measure").value = named;
      drawCurve();
    }
    pause();
    go(row);
  }

  // --- Controls ----------------------------------------------------------------------------

  const CLICKS = {
    play: () => (state.playing ? pause() : play()),
    back: () => step(-1),
    forward: () => step(1),
    earlier: () => stepEvent(-1),
    later: () => stepEvent(1),
    zero: setZero,
    skeletons: () => change(() => { state.skeletons = !state.skeletons; }),
    swap,
    "learner-mirror": () => mirror("learner"),
    "standard-mirror": () => mirror("standard"),
    "learner-minus": () => shift("learner", -1),
    "learner-plus": () => shift("learner", 1),
    "standard-minus": () => shift("standard", -1),
    "standard-plus": () => shift("standard", 1),
    "shift-reset": () => change(() => { state.shift = { learner: 0, standard: 0 }; }),
    "zoom-in": () => zoomTo(state.zoom * STEP_ZOOM),
    "zoom-out": () => zoomTo(state.zoom / STEP_ZOOM),
    "zoom-reset": () => zoomTo(1),
  };
  const KEYS = {
    " ": CLICKS.play, ArrowLeft: CLICKS.back, ArrowRight: CLICKS.forward,
    "<": () => changeSpeed(-1), ",": () => changeSpeed(-1),
    ">": () => changeSpeed(1), ".": () => changeSpeed(1),
    o: loopHere, z: setZero, v: nextLayout, s: CLICKS.skeletons, x: swap, c: nextCurve,
    m: CLICKS["learner-mirror"], n: CLICKS["standard-mirror"], t: CLICKS["shift-reset"],
    q: CLICKS["learner-minus"], w: CLICKS["learner-plus"],
    e: CLICKS["standard-minus"], r: CLICKS["standard-plus"],
    "+": CLICKS["zoom-in"], "=": CLICKS["zoom-in"], "-": CLICKS["zoom-out"], 0: CLICKS["zoom-reset"],
    i: () => pan(0, -1), k: () => pan(0, 1), j: () => pan(-1, 0), l: () => pan(1, 0),
    Escape: () => choose(null),
  };

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key, target } = event;
    const tag = target.tagName;
    if (tag === "SELECT" || tag === "TEXTAREA" || (tag === "INPUT" && key !== " ")) return;
    // Space presses the button that has the focus.
    if (key === " " && ["BUTTON", "SUMMARY", "A"].includes(tag)) return;
    let action = KEYS[key.length === 1 ? key.toLowerCase() : key];
    if (event.shiftKey && key === "ArrowLeft") action = CLICKS.earlier;
    if (event.shiftKey && key === "ArrowRight") action = CLICKS.later;
    if (/^[1-9]$/.test(key) && phases[key - 1]) action = () => go(phases[key - 1].rows[0]);
    if (!action) return;
    event.preventDefault();
    action();
  }

  function listen() {
    for (const [id, action] of Object.entries(CLICKS)) find(id).addEventListener("click", action);
    document.addEventListener("keydown", onKey);
    // After a click, Space plays; it presses a button that was reached by key.
    document.addEventListener("click", (event) => {
      if (event.detail) event.target.closest("button")?.blur();
    });
    const scrubber = find("scrubber");
    scrubber.addEventListener("input", () => {
      pause();
      go(Number(scrubber.value));
    });
    // After a drag, the keys work at once.
    scrubber.addEventListener("pointerup", () => scrubber.blur());
    find("loop").addEventListener("change", () => setLoop(find("loop").value));
    find("layout").addEventListener("change", () => { fit(); show(); });
    for (const button of document.querySelectorAll("[data-event]")) {
      button.addEventListener("click", () => go(events[button.dataset.event].row));
    }
    for (const button of document.querySelectorAll("[data-phase]")) {
      button.addEventListener("click", () => go(phases[button.dataset.phase].rows[0]));
    }
    for (const button of document.querySelectorAll("[data-instruction]")) {
      button.addEventListener("click", () => {
        const instruction = Number(button.dataset.instruction);
        choose(instruction === state.instruction ? null : instruction);
        if (state.instruction !== null) find("work").scrollIntoView({ block: "start" });
      });
    }
    if (curves.length) {
      find("measure").addEventListener("change", drawCurve);
      const follow = (event) => {
        pause();
        go(scales.row(event.clientX - plot.getBoundingClientRect().left));
      };
      plot.addEventListener("pointerdown", (event) => {
        plot.setPointerCapture(event.pointerId);
        follow(event);
      });
      plot.addEventListener("pointermove", (event) => {
        if (plot.hasPointerCapture(event.pointerId)) follow(event);
      });
    }
    for (const side of SIDES) listenToZoom(canvases[side]);
    window.addEventListener("resize", showAll);
    window.addEventListener("beforeprint", () => {
      for (const details of document.querySelectorAll(".card details")) details.open = true;
    });
  }

  function addTicks() {
    for (const { row } of events) {
      if (row === null) continue;
      const mark = document.createElement("i");
      mark.style.left = `${(100 * row) / Math.max(rows.length - 1, 1)}%`;
      find("ticks").append(mark);
    }
  }

  listen();
  addTicks();
  fit();
  setZero();
  drawCurve();
  if (instructions.length) choose(0);
  else go(state.row);
  load();
})();
