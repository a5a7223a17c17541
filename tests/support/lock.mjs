// Takes the donation links out of the lock file: it holds versions and digests, and no address of any kind.
import { readFileSync, writeFileSync } from "node:fs";

const file = "package-lock.json"; // of the folder in which npm runs it
const lock = JSON.parse(readFileSync(file, "utf8"));
for (const entry of Object.values(lock.packages)) {
  delete entry.funding;
}
writeFileSync(file, JSON.stringify(lock, null, 2) + "\n");
