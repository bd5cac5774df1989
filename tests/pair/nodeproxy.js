// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// nodeproxy keep|close - a proxy from 127.0.0.1:8080 to 127.0.0.1:3000, with an Agent that keeps
// connections or does not.
const http = require('http');
const agent = new http.Agent({keepAlive: process.argv[2] === 'keep'});

http.createServer((req, res) => {
	const to = http.request({host: '127.0.0.1', port: 3000, method: req.method, path: req.url,
		headers: {...req.headers, connection: agent.keepAlive ? 'keep-alive' : 'close'}, agent},
	(from) => {
		const headers = {...from.headers};
		delete headers.connection;
		res.writeHead(from.statusCode, headers);
		from.pipe(res);
	});
	to.on('error', () => res.destroy());
	req.pipe(to);
}).listen(8080, '127.0.0.1');
