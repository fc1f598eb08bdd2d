import asyncio, dataclasses, json, sys
import uvloop
from loadtests.bench import national

def say(line): print(line, flush=True)
async def main():
    offices = int(sys.argv[1]) if len(sys.argv) > 1 else None
    fam = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    out = await national.release(offices=offices, family_max=fam, seed=1, say=say)
    print(json.dumps(dataclasses.asdict(out)))
uvloop.run(main())
