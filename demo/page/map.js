// The map can be moved and zoomed, tells what is under the pointer, and names dots where there is room. Without it
// the page has the same text and the whole map.
(() => {
  'use strict';
  const NAMED_AT_ONCE = 60;
  const REACH = 18; // pixels from the pointer to a dot that it means
  document.documentElement.classList.add('js');
  const svg = document.querySelector('.map svg');
  const hint = document.querySelector('.hint');
  const named = svg.querySelector('.names');
  const ring = svg.querySelector('.found');
  const [, , width, height] = svg.getAttribute('viewBox').split(' ').map(Number);
  const whole = { x: 0, y: 0, width };
  let view = { ...whole };
  let waiting = false;

  // Names stand in the order of dots: region after region, as the paths do.
  const packages = JSON.parse(document.getElementById('packages').textContent);
  const dots = [];
  for (const path of svg.querySelectorAll('.dots path')) {
    for (const [, x, y] of path.getAttribute('d').matchAll(/M(\d+) (\d+)h0/g)) {
      dots.push({ x: Number(x), y: Number(y), name: packages[dots.length][0], description: packages[dots.length][1] });
    }
  }

  const unit = () => view.width / svg.clientWidth; // of the map, in a pixel

  function at(event) {
    const box = svg.getBoundingClientRect();
    return { x: view.x + (event.clientX - box.left) * unit(), y: view.y + (event.clientY - box.top) * unit() };
  }

  function nameDots() {
    named.textContent = '';
    const bottom = view.y + view.width * height / width;
    const seen = dots.filter((dot) => dot.x >= view.x && dot.x <= view.x + view.width && dot.y >= view.y && dot.y <= bottom);
    if (seen.length > NAMED_AT_ONCE) return;
    for (const dot of seen) {
      const text = document.createElementNS(svg.namespaceURI, 'text');
      text.setAttribute('x', dot.x + 6 * unit());
      text.setAttribute('y', dot.y + 4 * unit());
      text.textContent = dot.name;
      named.append(text);
    }
  }

  const clamped = (value, least, most) => Math.min(most, Math.max(least, value));

  function draw() {
    waiting = false;
    svg.setAttribute('viewBox', `${view.x} ${view.y} ${view.width} ${view.width * height / width}`);
    svg.style.setProperty('--unit', `${unit()}px`);
    // Dots grow more slowly than the map.
    svg.style.setProperty('--dot', `${unit() * (clamped(svg.clientWidth / 450, 1, 2.4) + 1.2 * Math.log2(whole.width / view.width))}px`);
    nameDots();
  }

  function show(next) {
    next.width = clamped(next.width, whole.width / 400, whole.width);
    next.x = clamped(next.x, 0, whole.width - next.width);
    next.y = clamped(next.y, 0, (whole.width - next.width) * height / width);
    view = next;
    hide();
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  }

  function zoom(factor, point) {
    const now = Math.min(whole.width, view.width * factor);
    const share = now / view.width;
    show({ x: point.x - (point.x - view.x) * share, y: point.y - (point.y - view.y) * share, width: now });
  }

  const middle = () => ({ x: view.x + view.width / 2, y: view.y + view.width * height / width / 2 });

  function hide() {
    hint.hidden = true;
    ring.setAttribute('visibility', 'hidden');
  }

  function tell(event) {
    const point = at(event);
    let nearest = null;
    let distance = (REACH * unit()) ** 2;
    for (const dot of dots) {
      const squared = (dot.x - point.x) ** 2 + (dot.y - point.y) ** 2;
      if (squared < distance) [nearest, distance] = [dot, squared];
    }
    if (!nearest) return hide();
    hint.textContent = '';
    const name = document.createElement('b');
    name.textContent = nearest.name;
    hint.append(name, nearest.description);
    hint.hidden = false;
    const left = (nearest.x - view.x) / unit();
    const top = (nearest.y - view.y) / unit();
    hint.style.left = `${clamped(left + 14, 0, svg.clientWidth - hint.offsetWidth - 4)}px`;
    hint.style.top = `${top > hint.offsetHeight + 20 ? top - hint.offsetHeight - 12 : top + 14}px`;
    ring.setAttribute('cx', nearest.x);
    ring.setAttribute('cy', nearest.y);
    ring.setAttribute('visibility', 'visible');
  }

  // One pointer moves the map, once it is zoomed in; two zoom it.
  const pressed = new Map();
  const spread = () => {
    const [a, b] = [...pressed.values()];
    return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
  };
  svg.addEventListener('pointerdown', (event) => {
    pressed.set(event.pointerId, event);
    if (event.pointerType === 'touch') tell(event);
  });
  svg.addEventListener('pointermove', (event) => {
    const before = pressed.get(event.pointerId);
    if (!before) return tell(event);
    if (pressed.size === 2) {
      const former = spread();
      pressed.set(event.pointerId, event);
      zoom(former / Math.max(1, spread()), at(event));
    } else if (view.width < whole.width) {
      svg.classList.add('moving');
      svg.setPointerCapture(event.pointerId);
      pressed.set(event.pointerId, event);
      show({ x: view.x - (event.clientX - before.clientX) * unit(), y: view.y - (event.clientY - before.clientY) * unit(), width: view.width });
    }
  });
  const release = (event) => {
    pressed.delete(event.pointerId);
    svg.classList.toggle('moving', pressed.size > 0);
  };
  for (const end of ['pointerup', 'pointercancel', 'pointerleave']) svg.addEventListener(end, release);
  svg.addEventListener('pointerleave', hide);
  svg.addEventListener('wheel', (event) => {
    event.preventDefault();
    zoom(1.0015 ** event.deltaY, at(event));
  }, { passive: false });
  svg.addEventListener('dblclick', (event) => zoom(0.4, at(event)));
  for (const button of document.querySelectorAll('[data-zoom]')) {
    button.addEventListener('click', () => {
      if (button.dataset.zoom === 'all') show({ ...whole });
      else zoom(button.dataset.zoom === 'in' ? 0.5 : 2, middle());
    });
  }

  // A question's answers light up on the map.
  for (const card of document.querySelectorAll('[data-question]')) {
    const marks = svg.querySelectorAll(`.marks [data-of="${card.dataset.question}"]`);
    card.addEventListener('pointerenter', () => marks.forEach((mark) => mark.classList.add('lit')));
    card.addEventListener('pointerleave', () => marks.forEach((mark) => mark.classList.remove('lit')));
  }

  window.addEventListener('resize', draw);
  draw();
})();
