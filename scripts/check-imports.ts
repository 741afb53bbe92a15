import { circles, readImports, wrongArrows } from './lib/imports.ts';

// Pure code that one domain may take from another, as `src/a.ts -> src/b.ts`.
const EXCEPTIONS: readonly string[] = [];

const imports = readImports(process.cwd());
const faults = [...wrongArrows(imports, EXCEPTIONS), ...circles(imports)];
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exitCode = 1;
else console.log(`${imports.length} imports, all in order`);
