// The live page; how it works is told in ../page.rs.

/** Events in memory, those that are kept when it is full, and those that are drawn. */
const EVENTS_MAX = 1500, EVENTS_KEPT = 1000, EVENT_ROWS_MAX = 200;
/** Tiles of one topology. */
const TILES_MAX = 2000;
/** Up to so many members are cards, chips; beyond it dots, but in a topology of few. */
const CARDS_MAX = 24, CHIPS_MAX = 240;
/** What is listed in one place. */
const LIST_MAX = 50;
/** Changes that flash in one frame. */
const FLASHES_MAX = 12;
/** The host says something every 15 s; silent for so long it is lost. */
const SILENCE_MAX_MS = 40_000;
const RETRY_FIRST_MS = 500, RETRY_MAX_MS = 10_000;
/** How often is asked for what no event tells. */
const REFRESH_MS = 5_000;
const COALESCE_MS = 200;
/** Events are taken so long before a frame may be drawn. */
const SLICE_MS = 8;
const ROW_PX = 33;
const STATES = ['up', 'discovered', 'down', 'leaving'];
const WELL = ['running', 'starting'];

const id = (name) => document.getElementById(name);
const on = (element, event, act) => element.addEventListener(event, act);
const isChord = ({ altKey, ctrlKey, metaKey }) => altKey || ctrlKey || metaKey;
const root = document.documentElement;
const collator = new Intl.Collator('en', { numeric: true });
const wantsMotion = matchMedia('(prefers-reduced-motion: no-preference)');

/** An element, as `tag.class` and attributes; strings among its children become text. */
function make(form, attributes, ...children) {
	const [tag, name] = form.split('.');
	const element = document.createElement(tag);
	if (name) element.className = name;
	for (const key in attributes) element.setAttribute(key, attributes[key]);
	element.append(...children.filter((child) => child != null));
	return element;
}

/** Sets a text only where it differs. */
function say(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

function mark(element, name, value) {
	if (value == null || value === '') element.removeAttribute(name);
	else if (element.getAttribute(name) !== `${value}`) element.setAttribute(name, value);
}

const num = (number) => number.toLocaleString('en');
const fileName = (path) => path.split('/').at(-1);
const count = (number, noun) => `${num(number)} ${noun}${number === 1 ? '' : 's'}`;
const few = (names, most) =>
	names.slice(0, most).join(', ') + (names.length > most ? ` and ${num(names.length - most)} more` : '');

// === time ===

/** The host's clock minus this one's. */
let skew = 0;
const hostNow = () => Date.now() + skew;

function span(ms) {
	const seconds = Math.floor(Math.max(0, ms) / 1000);
	if (seconds < 120) return `${seconds} s`;
	if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
	if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
	return `${Math.floor(seconds / 86_400)} d`;
}

const age = (at) => span(hostNow() - Date.parse(at));
const clock = (at) => new Date(at).toLocaleTimeString('en-GB');
const moment = (at) => new Date(at).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

/** A text that goes with the time, and is found again by its attribute. */
function ticking(at, form = 'ago') {
	const element = make('time', { datetime: at, 'data-tick': form, title: moment(at) });
	tick(element);
	return element;
}

function tick(element) {
	const at = element.getAttribute('datetime');
	const left = Date.parse(at) - hostNow();
	const forms = { ago: () => `${age(at)} ago`, for: () => `for ${age(at)}`, age: () => age(at), in: () => left > 0 ? `in ${span(left + 999)}` : 'now' };
	say(element, forms[element.dataset.tick]());
}

// === what is known ===

const members = new Map();
let topologies = [];
let events = [];          // the newest last
let heard = 0;            // events in all
let cursor;
let revision;
let isLive = false;
let asOf;                 // when the host was last heard

/** What the next frame has to draw. */
const dirty = { names: new Set(), structure: true, verdict: true, rebuildEvents: false };
let frame = 0;

function draw() {
	frame ||= requestAnimationFrame(() => {
		frame = 0;
		render();
	});
}

function apply(event) {
	cursor = event.cursor;
	revision = event.revision;
	asOf = Date.now();
	if (event.type === 'resync') {
		skew = Date.parse(event.at) - Date.now();
		members.clear();
		for (const member of event.members) members.set(member.name, member);
		dirty.structure = true;
	} else if (event.node) {
		const before = members.get(event.node);
		if (event.member) members.set(event.node, event.member);
		else members.delete(event.node);
		if (!before || !event.member || homes(before) !== homes(event.member)) dirty.structure = true;
		dirty.names.add(event.node);
		if (event.node === selected) refreshExplanation();
	} else if (event.topology) {
		const topology = topologies.find(({ name }) => name === event.topology);
		if (topology && event.health) Object.assign(topology, { health: event.health, reason: event.reason, since: event.at });
		refreshTopologies();
	}
	remember(event);
	dirty.verdict = true;
	draw();
}

/** The topologies that a member is drawn in. */
const homes = (member) => member.topologies.map(({ name }) => name).join(' ');

function remember({ type, at, node, member, members: all, topology, reason }) {
	const names = all ? count(all.length, 'member') : '';
	events.push({ type, at, node, state: member?.state, topology, reason: reason ?? '', names });
	if (events.length > EVENTS_MAX) events = events.slice(-EVENTS_KEPT);
	heard += 1;
}

const whyOf = (member) => member.reason
	?? member.topologies.filter(({ reason }) => reason).map(({ name, reason }) => `${name}: ${reason}`).join('; ');

// === filter ===

const shown = { words: [], states: new Set(STATES), view: 'map' };
const haystacks = new WeakMap();

function haystack(member) {
	let text = haystacks.get(member);
	if (text === undefined) {
		const attributes = Object.entries(member.attributes).map(([key, value]) => `${key}=${value}`);
		const links = member.topologies.map(({ name, link }) => `${name}=${link}`);
		text = [member.name, member.state, member.self ? 'self' : '', ...links, ...member.addresses, ...attributes, whyOf(member)].join(' ').toLowerCase();
		haystacks.set(member, text);
	}
	return text;
}

const wordsOf = (text) => text.toLowerCase().split(/\s+/).filter((word) => word && word !== '-');
const has = (text, words) => words.every((word) => word.startsWith('-') ? !text.includes(word.slice(1)) : text.includes(word));
const isShown = (member) => shown.states.has(member.state) && (!shown.words.length || has(haystack(member), shown.words));
const isFiltered = () => shown.words.length > 0 || shown.states.size < STATES.length;

// === a frame ===

function render() {
	if (dirty.structure || (isFiltered() && dirty.names.size)) {
		renderMap();
	} else if (dirty.names.size) {
		renderTiles();
	}
	if (dirty.structure || dirty.names.size) {
		table.isStale = true;
		renderTable();
	}
	dirty.structure = false;
	dirty.names.clear();
	if (dirty.verdict) renderVerdict();
	dirty.verdict = false;
	renderEvents();
}

function renderVerdict() {
	const number = Object.fromEntries(STATES.map((state) => [state, 0]));
	const notUp = [];
	let self;
	for (const member of members.values()) {
		number[member.state] = (number[member.state] ?? 0) + 1;
		if (member.state !== 'up') notUp.push(member.name);
		if (member.self) self = member;
	}
	for (const state of STATES) {
		const { chip, number: text } = chips.get(state);
		say(text, num(number[state]));
		mark(chip, 'aria-label', `${count(number[state], 'member')} ${state}`);
	}
	say(id('members-count'), num(members.size));
	let [verdict, words] = verdictOf(notUp);
	if (cursor && !isLive) [verdict, words] = ['lost', `Lost the host. Before: ${words}`];
	mark(id('badge'), 'data-verdict', verdict);
	say(id('verdict'), words);
	const title = { waiting: '…', whole: '✓', lost: '?' }[verdict] ?? '!';
	document.title = `${title} ${words}`.slice(0, 120);
	renderFacts(self);
}

function verdictOf(notUp) {
	if (cursor === undefined) return ['waiting', 'Asking the host …'];
	const unwell = topologies.filter(({ health }) => !WELL.includes(health));
	const held = topologies.filter((topology) => topology.held.length > 0);
	const says = [];
	if (notUp.length) says.push(`${num(notUp.length)} of ${count(members.size, 'member')} not up: ${few(notUp, 3)}`);
	if (unwell.length) {
		const one = unwell[0];
		says.push(`not well: topology ${one.name} ${one.health}${unwell.length > 1 ? ` and ${unwell.length - 1} more` : ''}`);
	}
	if (held.length) says.push(`${count(held.reduce((sum, topology) => sum + topology.held.length, 0), 'member')} held back in ${few(held.map(({ name }) => name), 2)}`);
	if (says.length) {
		const words = says.join(' · ');
		const sentence = words[0].toUpperCase() + words.slice(1);
		const kind = notUp.length * 2 >= members.size && notUp.length ? 'broken' : 'partly';
		return [kind, sentence];
	}
	if (members.size === 0) return ['waiting', 'Nobody is here yet'];
	const all = members.size === 1 ? 'one member, up' : `${num(members.size)} members, all up`;
	return ['whole', `Whole: ${all}`];
}

function renderFacts(self) {
	say(id('self'), self?.name ?? (cursor ? 'none, it watches only' : '–'));
	say(id('revision'), `${revision ?? '–'}`);
	say(id('as-of'), isLive ? 'live' : asOf ? `as of ${clock(asOf)}` : '');
}

// === the map ===

/** Topology → its part of the map. */
const sections = new Map();
/** Of members that no topology names, as this node. */
const NO_TOPOLOGY = '';

function renderMap() {
	const map = id('map');
	const groups = new Map(topologies.map(({ name }) => [name, []]));
	const totals = new Map();
	let matches = 0;
	for (const member of members.values()) {
		const is = isShown(member);
		if (is) matches += 1;
		for (const name of member.topologies.length ? member.topologies.map((vouched) => vouched.name) : [NO_TOPOLOGY]) {
			if (!groups.has(name)) groups.set(name, []);
			totals.set(name, (totals.get(name) ?? 0) + 1);
			if (is) groups.get(name).push(member);
		}
	}
	const nobody = id('nobody');
	nobody.hidden = matches > 0;
	say(nobody, cursor === undefined ? '' : members.size ? 'Nobody is so. Esc in the filter clears it.' : 'No topology names anybody yet. What each of them does stands beside.');
	let place = null;
	for (const name of [...groups.keys()].sort(collator.compare).reverse()) {
		const section = sections.get(name) ?? addSection(name);
		section.total = totals.get(name) ?? 0;
		fillSection(section, groups.get(name));
		if (section.element.nextSibling !== place || !section.element.isConnected) map.insertBefore(section.element, place);
		place = section.element;
	}
	for (const [name, section] of sections) {
		if (groups.has(name)) continue;
		section.element.remove();
		sections.delete(name);
	}
	keepOneTabStop();
}

function addSection(name) {
	const health = healthMark();
	const what = make('span.what');
	const title = make('h3', 0, name || 'In no topology');
	const tiles = make('div.tiles', { role: 'listbox', 'aria-label': name ? `Members of ${name}` : 'Members in no topology', 'aria-orientation': 'horizontal' });
	const more = make('p.more', { hidden: '' });
	const element = make('section.topology', { 'aria-label': name || 'In no topology' }, make('header', 0, title, health, what), tiles, more);
	const section = { name, element, title, health, what, box: tiles, more, tiles: new Map(), total: 0 };
	sections.set(name, section);
	return section;
}

function fillSection(section, list) {
	list.sort((a, b) => collator.compare(a.name, b.name));
	section.shown = list.length;
	section.isSelf = list.every((member) => member.self);
	if (list.length > TILES_MAX) {
		const isUp = (member) => member.state === 'up';
		list = [...list.filter((member) => !isUp(member)), ...list.filter(isUp)].slice(0, TILES_MAX);
	}
	const left = section.shown - list.length;
	section.more.hidden = left === 0;
	say(section.more, `… and ${num(left)} more; those that are not up come first. The table and the filter have all.`);
	mark(section.box, 'data-size', members.size <= CARDS_MAX ? 'cards' : members.size <= CHIPS_MAX || section.total <= CARDS_MAX ? 'chips' : 'dots');
	section.shorten = shortener(list);
	let longest = 4;
	const names = new Set(list.map(({ name }) => name));
	for (const [name, tile] of section.tiles) {
		if (names.has(name)) continue;
		tile.remove();
		section.tiles.delete(name);
	}
	let next = section.box.firstChild;
	for (const member of list) {
		const tile = section.tiles.get(member.name) ?? addTile(section, member);
		longest = Math.max(longest, fillTile(section, tile, member));
		if (tile === next) next = next.nextSibling;
		else section.box.insertBefore(tile, next);
	}
	section.box.style.setProperty('--chip', `${Math.min(260, 44 + longest * 7.4)}px`);
	renderSectionHead(section);
}

const healthMark = () => make('span.health', 0, make('i.mark'), make('span'));
/** Health has the forms of the states. */
const FORMS = { running: 'up', starting: 'discovered', stopped: 'down', denied: 'down' };
function showHealth(element, health = '') {
	mark(element.firstChild, 'data-state', FORMS[health] ?? health);
	say(element.lastChild, health);
	element.hidden = !health;
}

function renderSectionHead(section) {
	if (section.name === NO_TOPOLOGY) say(section.title, section.isSelf ? 'This node' : 'In no topology');
	const topology = topologies.find(({ name }) => name === section.name);
	showHealth(section.health, topology?.health);
	const ways = topology ? `${waysOf(topology)} · ` : '';
	const number = section.shown === section.total ? count(section.total, 'member') : `${num(section.shown)} of ${count(section.total, 'member')}`;
	say(section.what, ways + number);
	const card = cards.get(section.name);
	if (card) say(card.members, count(section.total, 'member'));
}

const waysOf = ({ strategy, connector }) => `${strategy} → ${connector === 'none' ? 'no links' : connector}`;

/** Leaves out what all names have in common. */
function shortener(list) {
	const parts = list.map(({ name }) => [name.slice(0, name.indexOf('@')), name.slice(name.indexOf('@') + 1)]);
	const isOne = (index) => parts.length > 1 && parts.every((part) => part[index] === parts[0][index]);
	if (isOne(0)) return (name) => name.slice(name.indexOf('@') + 1);
	if (isOne(1)) return (name) => name.slice(0, name.indexOf('@'));
	return (name) => name;
}

function addTile(section, member) {
	const tile = make('button.tile', { role: 'option', tabindex: '-1', 'data-name': member.name },
		make('i.mark'), make('span.name'), make('span.meta'), make('span.why'));
	section.tiles.set(member.name, tile);
	return tile;
}

/** Says how long the name is. */
function fillTile(section, tile, member) {
	const vouched = member.topologies.find(({ name }) => name === section.name);
	const link = vouched?.link ?? 'none';
	const [form, name, meta, why] = tile.children;
	const isCard = section.box.dataset.size === 'cards';
	const reason = whyOf(member);
	mark(tile, 'data-state', member.state);
	mark(tile, 'data-link', link);
	mark(tile, 'data-self', member.self ? 'self' : '');
	mark(tile, 'aria-selected', member.name === selected);
	mark(form, 'data-state', member.state);
	const short = isCard ? member.name : section.shorten(member.name);
	say(name, short);
	mark(tile, 'title', isCard ? '' : `${member.name}\n${member.state} since ${moment(member.since)}${reason ? `\n${reason}` : ''}`);
	mark(tile, 'aria-label', [member.name, member.self ? 'this node' : '', member.state, link === 'none' ? '' : `link ${link}`, member.state === 'up' ? '' : reason].filter(Boolean).join(', '));
	if (isCard) {
		if (meta.dataset.of !== `${member.state} ${member.since} ${link} ${member.self}`) {
			meta.dataset.of = `${member.state} ${member.since} ${link} ${member.self}`;
			const rest = [link === 'none' ? '' : ` · link ${link}`, member.self ? ' · this node' : ''].join('');
			meta.replaceChildren(`${member.state} `, ticking(member.since, 'for'), rest);
		}
		say(why, member.state === 'up' ? '' : reason);
	} else if (meta.firstChild) {
		meta.replaceChildren();
		delete meta.dataset.of;
		say(why, '');
	}
	return short.length;
}

/** Where the same are drawn in the same places. */
function renderTiles() {
	let flashes = 0;
	for (const name of dirty.names) {
		const member = members.get(name);
		if (!member) continue;
		for (const { name: home } of member.topologies.length ? member.topologies : [{ name: NO_TOPOLOGY }]) {
			const section = sections.get(home);
			const tile = section?.tiles.get(name);
			if (!tile) {
				// Beyond those that are drawn; one that is not up any more takes the place of another.
				if (section && member.state !== 'up') return renderMap();
				continue;
			}
			fillTile(section, tile, member);
			if (wantsMotion.matches && flashes++ < FLASHES_MAX) tile.animate({ opacity: [.35, 1] }, 500);
		}
	}
}

/** One of the tiles can be reached by Tab, the others by arrows. */
function keepOneTabStop() {
	for (const section of sections.values()) {
		const stop = section.box.querySelector('[tabindex="0"]');
		if (!stop) section.box.firstElementChild?.setAttribute('tabindex', '0');
	}
}

function moveInMap(tile, key) {
	const tiles = [...id('map').querySelectorAll('.tile')];
	const at = tiles.indexOf(tile);
	if (key === 'ArrowLeft') return tiles[at - 1];
	if (key === 'ArrowRight') return tiles[at + 1];
	if (key === 'Home') return tiles[0];
	if (key === 'End') return tiles.at(-1);
	const here = tile.getBoundingClientRect();
	const step = key === 'ArrowUp' ? -1 : 1;
	let best, least, top;
	for (let index = at + step; tiles[index]; index += step) {
		const there = tiles[index].getBoundingClientRect();
		if (Math.abs(there.top - here.top) < 2) continue;
		top ??= there.top;
		if (Math.abs(there.top - top) > 2) break;
		const far = Math.abs(there.left - here.left);
		if (best && far >= least) continue;
		[best, least] = [tiles[index], far];
	}
	return best;
}

on(id('map'), 'keydown', (event) => {
	const tile = event.target.closest('.tile');
	if (!tile || isChord(event)) return;
	if (!['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End'].includes(event.key)) return;
	event.preventDefault();
	const next = moveInMap(tile, event.key);
	if (!next) return;
	focusTile(next);
	if (selected !== undefined) select(next.dataset.name);
});

function focusTile(tile) {
	for (const other of tile.parentElement.querySelectorAll('[tabindex="0"]')) other.setAttribute('tabindex', '-1');
	tile.setAttribute('tabindex', '0');
	tile.focus();
	tile.scrollIntoView({ block: 'nearest' });
}

on(id('map'), 'click', (event) => {
	const tile = event.target.closest('.tile');
	if (!tile) return;
	focusTile(tile);
	select(tile.dataset.name);
});

// === the table ===

const COLUMNS = [
	{ title: 'State', key: (member) => STATES.indexOf(member.state) },
	{ title: 'Name', key: (member) => member.name },
	{ title: 'Since', key: (member) => -Date.parse(member.since) },
	{ title: 'Links', key: (member) => linksOf(member) },
	{ title: 'Addresses', key: (member) => member.addresses.join(' ') },
	{ title: 'Reason', key: whyOf },
];
const table = { order: [], column: 1, descending: false, isStale: true, cost: 0, sortedAt: 0, timer: 0, rows: [], current: 0 };

const linksOf = (member) => member.topologies.map(({ name, link }) => link === 'none' ? name : `${name}=${link}`).join(' ');

COLUMNS.forEach(({ title }, index) => {
	const button = make('button', 0, title);
	on(button, 'click', () => {
		table.descending = table.column === index && !table.descending;
		table.column = index;
		table.isStale = true;
		table.sortedAt = 0;
		renderTable();
	});
	id('thead').append(make('div', { role: 'columnheader' }, button));
});

/** Sorts at most a tenth of the time, however many there are. */
function renderTable() {
	if (shown.view !== 'table') return;
	const now = performance.now();
	if (table.isStale && now - table.sortedAt < table.cost * 10) {
		table.timer ||= setTimeout(() => {
			table.timer = 0;
			renderTable();
		}, table.cost * 10);
	} else if (table.isStale) {
		const name = table.order[table.current];
		const { key } = COLUMNS[table.column];
		const keyed = [];
		for (const member of members.values()) if (isShown(member)) keyed.push([key(member), member.name]);
		const compare = typeof keyed[0]?.[0] === 'number' ? (a, b) => a - b : collator.compare;
		const sign = table.descending ? -1 : 1;
		keyed.sort(([a, nameA], [b, nameB]) => sign * compare(a, b) || collator.compare(nameA, nameB));
		table.order = keyed.map(([, name]) => name);
		table.current = Math.max(0, table.order.indexOf(name));
		table.isStale = false;
		table.sortedAt = now;
		table.cost = performance.now() - now;
	}
	[...id('thead').children].forEach((head, index) => mark(head, 'aria-sort', index === table.column ? (table.descending ? 'descending' : 'ascending') : ''));
	renderRows();
}

/** Those rows that can be seen, in elements that are used again and again. */
function renderRows() {
	const box = id('table'), body = id('rows');
	mark(box, 'aria-rowcount', table.order.length + 1);
	body.style.height = `${table.order.length * ROW_PX}px`;
	const first = Math.max(0, Math.floor(box.scrollTop / ROW_PX) - 2);
	const needed = Math.min(table.order.length - first, Math.ceil(box.clientHeight / ROW_PX) + 4);
	while (table.rows.length < needed) addRow(body);
	table.rows.forEach((row, index) => {
		row.element.hidden = index >= needed;
		const member = index < needed ? members.get(table.order[first + index]) : undefined;
		if (member) fillRow(row, member, first + index);
		else row.element.hidden = true;
	});
	mark(box, 'aria-activedescendant', table.order.length ? `row-${table.current}` : '');
}

function addRow(body) {
	const cells = COLUMNS.map(() => make('div', { role: 'gridcell' }));
	const form = make('i.mark'), state = make('span');
	cells[0].append(form, state);
	cells[2].className = 'num';
	for (const cell of cells.slice(3)) cell.className = 'quiet';
	const name = make('span'), self = make('span.self-tag');
	cells[1].append(name, self);
	const element = make('div.row', { role: 'row' }, ...cells);
	body.append(element);
	table.rows.push({ element, cells, form, state, name, self });
}

function fillRow({ element, cells, form, state, name, self }, member, index) {
	element.style.transform = `translateY(${index * ROW_PX}px)`;
	mark(element, 'id', `row-${index}`);
	mark(element, 'aria-rowindex', index + 2);
	mark(element, 'aria-selected', member.name === selected);
	mark(element, 'data-name', member.name);
	element.classList.toggle('current', index === table.current);
	mark(form, 'data-state', member.state);
	say(state, member.state);
	say(name, member.name);
	say(self, member.self ? 'this node' : '');
	if (cells[2].firstChild?.getAttribute('datetime') !== member.since) cells[2].replaceChildren(ticking(member.since, 'age'));
	[linksOf(member), member.addresses.join(' '), whyOf(member)].forEach((text, offset) => {
		say(cells[3 + offset], text || '–');
		mark(cells[3 + offset], 'title', text);
	});
}

on(id('table'), 'scroll', () => requestAnimationFrame(renderRows), { passive: true });
new ResizeObserver(() => shown.view === 'table' && renderRows()).observe(id('table'));
on(id('table'), 'click', (event) => {
	const row = event.target.closest('.rows .row');
	if (!row) return;
	table.current = table.order.indexOf(row.dataset.name);
	select(row.dataset.name);
});
on(id('table'), 'keydown', (event) => {
	if (event.target !== id('table') || isChord(event)) return;
	const box = id('table');
	const page = Math.max(1, Math.floor(box.clientHeight / ROW_PX) - 2), last = table.order.length - 1;
	const to = { ArrowUp: table.current - 1, ArrowDown: table.current + 1, PageUp: table.current - page, PageDown: table.current + page, Home: 0, End: last }[event.key];
	if (to !== undefined) {
		event.preventDefault();
		table.current = Math.min(Math.max(0, to), Math.max(0, last));
		const top = table.current * ROW_PX, room = box.clientHeight - 2 * ROW_PX;
		if (top < box.scrollTop) box.scrollTop = top;
		else if (top > box.scrollTop + room) box.scrollTop = top - room;
		renderRows();
		if (selected !== undefined) select(table.order[table.current]);
	} else if (event.key === 'Enter' || event.key === ' ') {
		event.preventDefault();
		if (table.order[table.current]) select(table.order[table.current]);
	}
});

// === events ===

const eventsShown = { words: [], isPaused: false, drawn: 0 };

function renderEvents() {
	say(id('events-count'), num(heard));
	const waiting = heard - eventsShown.drawn;
	say(id('pause'), eventsShown.isPaused ? `Go on${waiting ? ` (${num(waiting)} new)` : ''}` : 'Pause');
	if (eventsShown.isPaused && !dirty.rebuildEvents) return;
	const list = id('events');
	const isOne = ({ type, node, topology, state, reason }) =>
		!eventsShown.words.length || has(`${type} ${node ?? ''} ${topology ?? ''} ${state ?? ''} ${reason}`.toLowerCase(), eventsShown.words);
	const rows = [];
	const news = dirty.rebuildEvents ? events.length : Math.min(waiting, events.length);
	for (let index = events.length - 1; index >= events.length - news && rows.length < EVENT_ROWS_MAX; index -= 1) {
		if (isOne(events[index])) rows.push(eventRow(events[index]));
	}
	if (dirty.rebuildEvents) list.replaceChildren(...rows);
	else if (rows.length) list.prepend(...rows);
	while (list.children.length > EVENT_ROWS_MAX) list.lastChild.remove();
	eventsShown.drawn = heard;
	dirty.rebuildEvents = false;
}

function eventRow({ type, at, node, state, topology, reason, names }) {
	const about = node ? make('button.name-link', { 'data-name': node }, node) : names || topology || '';
	const said = [node && topology ? topology : '', state && !['node_up', 'node_down'].includes(type) ? state : '', reason].filter(Boolean).join(' · ');
	return make('li', { 'data-kind': type },
		make('time', { datetime: at, title: moment(at) }, clock(at)),
		make('span', 0, make('span.kind', 0, type), ' ', about),
		make('span.said', { title: reason }, said));
}

on(id('events'), 'click', (event) => {
	const name = event.target.closest('.name-link')?.dataset.name;
	if (name) select(name);
});
on(id('pause'), 'click', () => {
	eventsShown.isPaused = !eventsShown.isPaused;
	mark(id('pause'), 'aria-pressed', eventsShown.isPaused);
	dirty.rebuildEvents = !eventsShown.isPaused;
	draw();
});
on(id('events-filter'), 'input', (event) => {
	eventsShown.words = wordsOf(event.target.value);
	dirty.rebuildEvents = true;
	draw();
});

// === topologies and plugins ===

const cards = new Map();

function renderTopologies() {
	const box = id('topologies');
	say(id('topologies-count'), num(topologies.length));
	topologies.forEach((topology, index) => {
		const card = cards.get(topology.name) ?? addCard(topology.name);
		fillCard(card, topology);
		const there = box.children[index];
		if (there !== card.element) box.insertBefore(card.element, there ?? null);
	});
	for (const [name, card] of cards) {
		if (topologies.some((topology) => topology.name === name)) continue;
		card.element.remove();
		cards.delete(name);
	}
	if (!topologies.length) say(box, 'There is none: this host follows nobody.');
}

function addCard(name) {
	if (!cards.size) id('topologies').replaceChildren();
	const part = { members: make('span'), health: healthMark(), ways: make('span'), numbers: make('p.facts'), reason: make('p.reason'),
		remedy: make('pre'), held: make('p.reason'), unclaimed: make('p.reason'), counters: make('dl.pairs') };
	part.more = make('details', { hidden: '' }, make('summary', 0, 'What to do'), part.remedy);
	part.counts = make('details', { hidden: '' }, make('summary', 0, 'Counters'), part.counters);
	part.element = make('article.card', { 'aria-label': `Topology ${name}` }, make('header', 0, make('h3', 0, name), part.health),
		make('p.facts', 0, part.ways), part.numbers, part.reason, part.more, part.held, part.unclaimed, part.counts);
	cards.set(name, part);
	return part;
}

function fillCard(part, topology) {
	const [first = '', ...others] = (topology.reason ?? '').trimEnd().split('\n');
	mark(part.element, 'data-well', WELL.includes(topology.health) ? 'yes' : 'no');
	showHealth(part.health, topology.health);
	say(part.ways, `${waysOf(topology)}${topology.plugin ? ` · ${fileName(topology.plugin)}` : ''}`);
	part.numbers.replaceChildren(
		part.members,
		make('span', 0, ticking(topology.since, 'for')),
		make('span', 0, ...(topology.last_report ? ['report ', ticking(topology.last_report)] : ['no report yet'])),
		...(topology.restarts ? [make('span', 0, count(topology.restarts, 'restart'))] : []));
	say(part.reason, first);
	part.reason.hidden = !first;
	say(part.remedy, others.join('\n'));
	part.more.hidden = !others.length;
	say(part.held, `Held back, not believed to be gone: ${few(topology.held, LIST_MAX)}`);
	part.held.hidden = !topology.held.length;
	say(part.unclaimed, `Links that nobody claims: ${few(topology.unclaimed, LIST_MAX)}`);
	part.unclaimed.hidden = !topology.unclaimed.length;
	const counters = Object.entries(topology.counters).slice(0, LIST_MAX);
	part.counters.replaceChildren(...counters.flatMap(([name, number]) => [make('dt', 0, name), make('dd', 0, num(number))]));
	part.counts.hidden = !counters.length;
}

let topologiesTimer = 0;
function refreshTopologies() {
	topologiesTimer ||= setTimeout(async () => {
		topologiesTimer = 0;
		const answer = await ask('v1/topologies');
		if (!answer) return;
		const before = topologies.map(({ name }) => name).join(' ');
		topologies = answer.topologies;
		if (before !== topologies.map(({ name }) => name).join(' ')) dirty.structure = true;
		renderTopologies();
		if (dirty.structure) renderMap();
		for (const section of sections.values()) renderSectionHead(section);
		dirty.verdict = true;
		draw();
	}, COALESCE_MS);
}

async function refreshPlugins() {
	const answer = await ask('v1/plugins');
	const list = answer?.plugins;
	id('plugins-panel').hidden = !Array.isArray(list);
	if (!Array.isArray(list)) return;
	say(id('plugins-count'), num(list.length));
	id('plugins').replaceChildren(...list.slice(0, LIST_MAX).map((plugin) => {
		const { file, refused, pending } = plugin;
		const use = plugin.used_by?.length ? `used by ${few(plugin.used_by, 8)}` : '';
		const offers = [...plugin.strategies ?? [], ...plugin.connectors ?? []].join(', ');
		return make('li', 0, make('b', 0, plugin.plugin ?? fileName(file)), ` ${plugin.version ?? ''} · ${file ? fileName(file) : 'built in'}`,
			make('div.note', 0, [offers, plugin.standing, use].filter(Boolean).join(' · ')),
			refused && make('div.refused', 0, `refused: ${refused.reason}`), pending && make('div.refused', 0, `pending: ${pending.reason}`));
	}));
}

// === the explanation of one ===

let selected;
let explanationTimer = 0, explained = '';

function select(name) {
	const isNew = name !== selected;
	selected = name;
	id('drawer').hidden = name === undefined;
	for (const section of sections.values()) {
		for (const [other, tile] of section.tiles) mark(tile, 'aria-selected', other === name);
	}
	if (shown.view === 'table') renderRows();
	if (name === undefined || !isNew) return;
	say(id('drawer-name'), name);
	explained = '';
	id('drawer-body').replaceChildren(make('p.note', 0, 'Asking the host …'));
	id('drawer-body').scrollTop = 0;
	refreshExplanation();
}

function refreshExplanation() {
	explanationTimer ||= setTimeout(async () => {
		explanationTimer = 0;
		const name = selected;
		if (name === undefined) return;
		const answer = await ask(`v1/members/${encodeURIComponent(name)}`, true);
		const text = JSON.stringify(answer);
		// What is the same is left alone, so that it can be read and copied.
		if (name !== selected || text === explained || answer === undefined) return;
		explained = text;
		id('drawer-body').replaceChildren(...(answer.detail ? [make('p.note', 0, answer.detail)] : explanation(answer)));
	}, explained ? COALESCE_MS : 0);
}

const pairs = (list) => make('dl.pairs', 0, ...list.filter(([, value]) => value !== undefined && value !== null && value !== '')
	.flatMap(([name, value]) => [make('dt', 0, name), make('dd', 0, value)]));

function explanation({ member, vouches, links, dead }) {
	const parts = [];
	if (member) {
		parts.push(make('p.lead', 0, make('i.mark', { 'data-state': member.state }), make('b', 0, member.state), ' ', ticking(member.since, 'for'), member.self ? ' · this node' : ''));
		parts.push(pairs([['reason', whyOf(member)], ['addresses', member.addresses.join(' ')], ['incarnation', member.incarnation === null ? '' : String(member.incarnation)],
			...Object.entries(member.attributes).slice(0, LIST_MAX)]));
	} else {
		parts.push(make('p', 0, 'It is no member now. This is what is still known of it:'));
	}
	parts.push(make('h3', 0, 'Who vouches for it'));
	if (!vouches.length) parts.push(make('p.note', 0, member?.self ? 'This host: it runs beside it.' : 'Nobody.'));
	for (const vouch of vouches.slice(0, LIST_MAX)) {
		parts.push(make('div.fact-box', 0, make('h4', 0, vouch.topology), pairs([
			['vouches', ticking(vouch.since, 'for')], ['renewed', ticking(vouch.renewed)],
			['expires', vouch.expires && ticking(vouch.expires, 'in')], ['stale', vouch.stale ? 'yes: expired, kept because the link is up' : ''],
			['absent in', vouch.absent_rounds ? `${count(vouch.absent_rounds, 'complete view')} in a row` : ''],
			['held until', vouch.held_until && moment(vouch.held_until)], ['leaving', vouch.node.leaving ? 'yes' : ''],
			['addresses', vouch.node.addresses.join(' ')]])));
	}
	parts.push(make('h3', 0, 'Links'));
	if (!links.length) parts.push(make('p.note', 0, member?.self ? 'None is needed to itself.' : 'Its topologies make none.'));
	for (const link of links.slice(0, LIST_MAX)) {
		const attempts = link.attempts.toReversed().slice(0, LIST_MAX).map(({ at, failure }) =>
			make('li', 0, make('time', { datetime: at, title: moment(at) }, clock(at)), failure ?? 'made'));
		parts.push(make('div.fact-box', 0, make('h4', 0, `${link.connector}: ${link.state}`), pairs([
			['since', ticking(link.since)], ['failed tries', link.failures ? String(link.failures) : ''],
			['next try', link.next_attempt && ticking(link.next_attempt, 'in')], ['kept', link.kept]]),
			attempts.length ? make('ol.attempts', { 'aria-label': 'Tries, the newest first' }, ...attempts) : null));
	}
	if (dead.length) {
		parts.push(make('h3', 0, 'Known to be dead'));
		parts.push(pairs(dead.slice(0, LIST_MAX).map(({ topology, incarnation }) => [topology, `incarnation ${incarnation}`])));
	}
	return parts;
}

on(id('drawer-close'), 'click', closeDrawer);

function closeDrawer() {
	const name = selected;
	select(undefined);
	if (shown.view === 'table') id('table').focus();
	else [...sections.values()].map((section) => section.tiles.get(name)).find(Boolean)?.focus();
}

// === the host ===

let token = sessionStorage.getItem('token') ?? '';

const headers = (more = {}) => token ? { ...more, authorization: `Bearer ${token}` } : more;

/** The JSON at a path, or nothing. */
async function ask(path, takesProblems = false) {
	try {
		const answer = await fetch(path, { headers: headers(), cache: 'no-store', signal: AbortSignal.timeout(15_000) });
		if (!answer.ok && !(takesProblems && answer.status === 404)) return undefined;
		return await answer.json();
	} catch {
		return undefined;
	}
}

/** Reads server-sent events; a long line (a resync is one) is put together once. */
function sseReader(take) {
	let parts = [], data = [];
	const line = (text) => {
		if (text === '') {
			if (data.length) take(JSON.parse(data.join('\n')));
			data = [];
		} else if (text.startsWith('data:')) {
			data.push(text.slice(text[5] === ' ' ? 6 : 5));
		}
	};
	return (chunk) => {
		if (!chunk.includes('\n')) return void parts.push(chunk);
		const lines = chunk.split('\n');
		lines[0] = parts.join('') + lines[0];
		parts = [lines.pop()];
		for (const text of lines) line(text.endsWith('\r') ? text.slice(0, -1) : text);
	};
}

class Refused extends Error {
	constructor(status, detail) {
		super(detail);
		this.status = status;
	}
}

/** Follows the events from the last one that is known, until the stream ends. */
async function follow(connected) {
	const stop = new AbortController();
	let watchdog;
	const alive = () => {
		clearTimeout(watchdog);
		watchdog = setTimeout(() => stop.abort(new Error(`it is silent for ${span(SILENCE_MAX_MS)}`)), SILENCE_MAX_MS);
	};
	alive();
	try {
		const asked = headers(cursor ? { accept: 'text/event-stream', 'last-event-id': cursor } : { accept: 'text/event-stream' });
		const answer = await fetch('v1/events', { headers: asked, cache: 'no-store', signal: stop.signal });
		if (!answer.ok) {
			const problem = await answer.json().catch(() => ({}));
			throw new Refused(answer.status, problem.detail ?? `it answers ${answer.status}`);
		}
		connected();
		const read = sseReader(apply);
		const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
		for (let began = performance.now();;) {
			const { done, value } = await reader.read();
			if (done) throw new Error('it has ended the stream');
			alive();
			asOf = Date.now();
			read(value);
			if (performance.now() - began > SLICE_MS) {
				await new Promise((resolve) => setTimeout(resolve));
				began = performance.now();
			}
		}
	} finally {
		clearTimeout(watchdog);
		stop.abort();
	}
}

async function live() {
	for (let wait = RETRY_FIRST_MS;;) {
		try {
			await follow(() => {
				wait = RETRY_FIRST_MS;
				isLive = true;
				root.classList.remove('lost');
				id('banner').hidden = true;
				dirty.verdict = true;
				refreshTopologies();
				refreshPlugins();
				refreshExplanation();
				draw();
			});
		} catch (error) {
			isLive = false;
			dirty.verdict = true;
			draw();
			if (error.status === 401) {
				await askForToken(error.message);
				continue;
			}
			// A browser says of all that went wrong below HTTP the same.
			const why = error instanceof TypeError ? 'nobody answers at its address' : error.message;
			await lost(why, wait);
			wait = Math.min(wait * 2, RETRY_MAX_MS);
		}
	}
}

/** Says so, and waits until the next try. */
function lost(why, wait) {
	root.classList.add('lost');
	id('banner').hidden = false;
	say(id('banner-what'), cursor ? `Lost the host. What you see is as of ${clock(asOf)}.` : 'The host cannot be reached.');
	say(id('banner-why'), `${why[0].toUpperCase()}${why.slice(1)}.`);
	const until = Date.now() + wait;
	return new Promise((resolve) => {
		const show = () => {
			const left = until - Date.now();
			say(id('banner-when'), left > 0 ? `Next try in ${Math.ceil(left / 1000)} s` : 'Trying …');
			if (left <= 0) go();
		};
		const go = () => {
			clearInterval(timer);
			say(id('banner-when'), 'Trying …');
			id('banner-now').onclick = null;
			resolve();
		};
		const timer = setInterval(show, 250);
		id('banner-now').onclick = go;
		show();
	});
}

function askForToken(why) {
	const dialog = id('token');
	say(id('token-why'), why);
	id('token-value').value = '';
	if (!dialog.open) dialog.showModal();
	return new Promise((resolve) => {
		// One that was closed without a token is opened again by the next answer.
		dialog.addEventListener('close', () => {
			token = id('token-value').value.trim();
			sessionStorage.setItem('token', token);
			resolve();
		}, { once: true });
	});
}

// === what is touched ===

const chips = new Map(STATES.map((state) => {
	const number = make('b');
	const chip = make('button', { 'aria-pressed': 'true', 'data-state': state }, make('i.mark', { 'data-state': state }), number, ` ${state}`);
	on(chip, 'click', () => {
		if (shown.states.has(state)) shown.states.delete(state);
		else shown.states.add(state);
		mark(chip, 'aria-pressed', shown.states.has(state));
		dirty.structure = true;
		draw();
	});
	id('states').append(chip);
	return [state, { chip, number }];
}));

on(id('filter'), 'input', (event) => {
	shown.words = wordsOf(event.target.value);
	table.sortedAt = 0;
	dirty.structure = true;
	draw();
});

function view(name) {
	shown.view = name;
	id('map').hidden = name !== 'map';
	id('table').hidden = name !== 'table';
	mark(id('view-map'), 'aria-pressed', name === 'map');
	mark(id('view-table'), 'aria-pressed', name === 'table');
	renderTable();
}
on(id('view-map'), 'click', () => view('map'));
on(id('view-table'), 'click', () => view('table'));

const THEMES = ['system', 'light', 'dark'];
function theme(name) {
	if (name === 'system') root.removeAttribute('data-theme');
	else root.setAttribute('data-theme', name);
	say(id('theme'), `Theme: ${name}`);
	mark(id('theme'), 'aria-label', `Theme: ${name}`);
	localStorage.setItem('theme', name);
}
on(id('theme'), 'click', () => theme(THEMES[(THEMES.indexOf(localStorage.getItem('theme') ?? 'system') + 1) % THEMES.length]));
theme(THEMES.includes(localStorage.getItem('theme')) ? localStorage.getItem('theme') : 'system');

on(id('help-open'), 'click', () => id('help').showModal());

const KEYS = {
	'/': () => id('filter').focus(),
	'?': () => id('help').showModal(),
	m: () => view('map'),
	t: () => view('table'),
	p: () => id('pause').click(),
};

on(document, 'keydown', (event) => {
	if (isChord(event) || document.querySelector('dialog[open]')) return;
	const isTyping = event.target.matches('input');
	if (event.key === 'Escape') {
		if (isTyping && event.target.value) {
			event.target.value = '';
			event.target.dispatchEvent(new Event('input'));
			event.preventDefault();
		} else if (selected !== undefined) {
			closeDrawer();
		} else {
			event.target.blur?.();
		}
	} else if (!isTyping && KEYS[event.key]) {
		event.preventDefault();
		KEYS[event.key]();
	} else if (event.key === 'ArrowDown' && event.target === id('filter')) {
		event.preventDefault();
		if (shown.view === 'table') id('table').focus();
		else id('map').querySelector('.tile')?.focus();
	}
});

setInterval(() => {
	if (document.hidden || !isLive) return;
	for (const element of document.querySelectorAll('[data-tick]')) tick(element);
}, 1000);
setInterval(() => isLive && !document.hidden && refreshPlugins(), 60_000);
setInterval(() => {
	if (document.hidden || !isLive) return;
	refreshTopologies();
	if (selected !== undefined) refreshExplanation();
}, REFRESH_MS);

live();
