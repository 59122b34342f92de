// The SOAP server of the tests. Takes a port, or a free one, and prints it; ends when its standard input does.
//   /front, /archive, /secure   the ports of shop.wsdl; /secure wants a user name token
//   /seen                       what arrived since the last look
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const soap = require('soap');

let seen = [];

const fault = (faultcode, faultstring, detail) => ({ Fault: { faultcode, faultstring, detail, statusCode: 500 } });
const list = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);

const operations = {
  Add: async ({ a, b }) => ({ total: Number(a) + Number(b) }),
  Echo: async (args) => ({ text: args?.text ?? '' }),
  Order: async ({ customer, lines }) => ({
    customer,
    quantity: list(lines).reduce((sum, line) => sum + Number(line.quantity), 0),
    articles: list(lines).map((line) => line.article),
  }),
  Known: async ({ name }) => ({ known: name === 'ann' }),
  Nothing: async () => ({}),
  Find: async ({ prefix }) => ({ names: ['ann', 'anton', 'bea'].filter((name) => name.startsWith(prefix)) }),
  Renew: async ({ article }) => ({ text: `renewed ${article}` }),
  Wait: ({ milliseconds }) => new Promise((done) => setTimeout(() => done({ waited: milliseconds }), milliseconds)),
  Divide: async ({ a, b }) => {
    if (Number(b) === 0) throw fault('soap:Client', 'division by zero', { reason: 'zero' });
    return { quotient: Math.trunc(Number(a) / Number(b)) };
  },
};

const port = Object.fromEntries(
  Object.entries(operations).map(([name, run]) => [
    name,
    (args, _callback, headers, req) => {
      seen.push({ path: req.url, operation: name, args: args ?? {}, headers: headers ?? null, http: req.headers });
      return run(args);
    },
  ]),
);

const server = http.createServer((req, res) => {
  if (req.url === '/seen') {
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify(seen));
    seen = [];
  } else if (req.url === '/types.xsd') {
    fs.createReadStream(path.join(__dirname, 'types.xsd')).pipe(res);
  } else if (req.url === '/moved') {
    res.writeHead(302, { location: '/front?wsdl' }).end();
  } else if (req.url === '/html') {
    res.setHeader('content-type', 'text/html');
    res.end('<p>not SOAP');
  } else {
    res.writeHead(404).end();
  }
});

server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  const number = server.address().port;
  const uri = path.join(__dirname, 'shop.wsdl');
  const shop = soap.listen(server, {
    path: /^\/(front|archive|secure)/,
    services: { Shop: { Front: port, Archive: port, Secure: port } },
    xml: fs.readFileSync(uri, 'utf8').replaceAll('{port}', number),
    uri,
    callback: (error) => {
      if (error) throw error;
      console.log(number);
    },
  });
  shop.authenticate = (security, _done, req) =>
    !req.url.startsWith('/secure') || security?.UsernameToken?.Username === 'ann';
  shop.addSoapHeader((name, _args, headers) =>
    name === 'Renew' ? `<Receipt xmlns="urn:shop"><number>${headers?.Session?.token ?? 'none'}-1</number></Receipt>` : '',
  );
});

process.stdin.on('end', () => process.exit()).resume();
