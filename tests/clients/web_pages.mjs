// Registers an account in Chromium without scripts, says REGISTERED, and has axe-core look at every page in light and in
// dark colours, saying ACCESSIBLE and the name of each.
//
// Usage: web_pages.mjs SITE TOKEN
// Libraries are found through CLIENT_MODULES.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.CLIENT_MODULES, "index.js"));
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const [site, token] = process.argv.slice(2);
const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  acceptInsecureCerts: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

function fail(...words) {
  console.log("FAILED", ...words);
  process.exit(1);
}

async function fillIn(page, fields) {
  for (const [name, value] of Object.entries(fields)) await page.type(`[name=${name}]`, value);
  await Promise.all([page.waitForNavigation(), page.click("button[type=submit]")]);
}

async function visitor(scripts) {
  const page = await browser.newPage();
  await page.setJavaScriptEnabled(scripts);
  // What a page loads that its own rules forbid, or that is not there.
  page.on("console", (message) => { if (message.text().includes("Content Security Policy")) fail(message.text()); });
  page.on("requestfailed", (request) => fail(request.url()));
  return page;
}

async function inspect(page, name) {
  const font = await page.evaluate(() => getComputedStyle(document.body).fontFamily);
  if (!font.includes("sans-serif")) fail(name, "has no style:", font);
  for (const scheme of ["light", "dark"]) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.evaluate(axe);
    const { violations, passes } = await page.evaluate((values) => axe.run({ runOnly: values }), rules);
    if (violations.length > 0 || passes.length < 10) fail(name, scheme, JSON.stringify(violations, null, 1));
  }
  console.log("ACCESSIBLE", name);
}

const plain = await visitor(false);
await plain.goto(`${site}/`);
await Promise.all([plain.waitForNavigation(), plain.click("a.deed")]);
await fillIn(plain, { username: "juliet", password: "a b4lcony", password2: "a b4lcony", reason: "love", qa: "Romeo" });
const words = (await plain.content()).replace(/<[^>]*>/g, "");
if (!words.includes("Your account is juliet@localhost")) fail(words);
console.log("REGISTERED");

const page = await visitor(true);
await page.goto(`${site}/`);
await inspect(page, "front");
await page.goto(`${site}/invite/${token}`);
await inspect(page, "invitation");
await page.goto(`${site}/register?t=${token}`);
await inspect(page, "form of an invitation");
await page.goto(`${site}/register`);
await inspect(page, "form");
await fillIn(page, { username: "romeo", password: "one", password2: "another", reason: "love", qa: "Romeo" });
await inspect(page, "form with a mistake");
await fillIn(page, { password: "m0ntague", password2: "m0ntague" });
await inspect(page, "welcome");
await page.goto(`${site}/nothing`);
await inspect(page, "nothing");
await browser.close();
