// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The application of an instance. It counts what it does, and says so on a unix socket: a TCP
// connection that asks would be one of those that are counted.
//   /            an answer            /slow?ms=N     an answer after N milliseconds
//   /hold        an answer when PUT /release comes to the unix socket
//   /db          one query            /leak?host=H   a database connection that is never given back
//   /ws          a WebSocket, pinged every half second
// Queries go over a pool; PUT /new on the unix socket makes each open a connection of its own,
// PUT /pool ends that.
'use strict';
const crypto = require('crypto');
const http = require('http');
const mysql = require('mysql');

const port = Number(process.argv[2]), status = process.argv[3];
const database = { host: '10.77.3.20', user: 'app', password: 'lab' };
const count = { requests: 0, connections: 0, websockets: 0, db_opened: 0, no_port: 0, db_failed: 0 };
const pool = mysql.createPool({ ...database, connectionLimit: 4 });
const leaked = [];
const held = [];
let pooled = true;

pool.on('connection', () => count.db_opened++);

function answer(res, code, text) {
	const body = text + '\n';

	// with its length: without, nginx could not keep a connection of an HTTP/1.0 client (ab)
	res.writeHead(code, { 'Content-Type': 'text/plain', 'Content-Length': Buffer.byteLength(body) });
	res.end(body);
}

function fail(res, error) {
	count[error.code === 'EADDRNOTAVAIL' ? 'no_port' : 'db_failed']++;
	answer(res, 500, String(error.code));
}

function query(res) {
	const done = (error) => (error ? fail(res, error) : answer(res, 200, 'db'));
	if (pooled)
		return pool.query('select 1', done);
	const c = mysql.createConnection(database);
	c.connect((error) => {
		if (error)
			return done(error);
		count.db_opened++;
		c.query('select 1', (failed) => c.end(() => done(failed)));
	});
}

function leak(res, host) {
	const c = mysql.createConnection({ ...database, host });
	c.on('error', () => count.db_failed++);
	c.connect((error) => {
		if (error)
			return fail(res, error);
		count.db_opened++;
		leaked.push(c);
		answer(res, 200, 'leaked');
	});
}

const server = http.createServer((req, res) => {
	const url = new URL(req.url, 'http://app');
	count.requests++;
	if (url.pathname === '/db')
		query(res);
	else if (url.pathname === '/leak')
		leak(res, url.searchParams.get('host'));
	else if (url.pathname === '/slow')
		setTimeout(answer, Number(url.searchParams.get('ms')), res, 200, 'slow');
	else if (url.pathname === '/hold')
		held.push(res);
	else
		answer(res, 200, 'app');
});

server.on('connection', () => count.connections++);
server.on('upgrade', (req, socket) => {
	const accept = crypto.createHash('sha1')
		.update(req.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11')
		.digest('base64');
	socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n' +
		`Connection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
	count.websockets++;
	const ping = setInterval(() => socket.write(Buffer.from([0x89, 0])), 500);
	const end = () => {
		clearInterval(ping);
		socket.destroy();
	};
	socket.on('data', () => {});
	socket.on('end', end);
	socket.on('error', end);
	socket.on('close', () => {
		clearInterval(ping);
		count.websockets--;
	});
});

server.keepAliveTimeout = 65000; // longer than nginx keeps them: whoever is behind must not close first
server.listen(port, '127.0.0.1', () => {
	http.createServer((req, res) => {
		if (req.url === '/release')
			held.splice(0).forEach((waiting) => answer(waiting, 200, 'held'));
		else if (req.method === 'PUT')
			pooled = req.url !== '/new';
		answer(res, 200, JSON.stringify(count));
	}).listen(status);
});
