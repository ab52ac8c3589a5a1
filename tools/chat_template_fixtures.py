#!/usr/bin/env python3
"""Writes tests/data/chat_templates.json: chat templates, conversations, and the
prompts that Jinja2 renders as Hugging Face sets it up, for the unit tests.

    pip install jinja2
    tools/chat_template_fixtures.py
"""

import json
import pathlib

from jinja2.sandbox import ImmutableSandboxedEnvironment

OUT = pathlib.Path(__file__).parent.parent / "tests/data/chat_templates.json"

SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != "
    "'system' %}{{ '<|im_start|>system\\nYou are a helpful AI assistant named "
    "SmolLM, trained by Hugging Face<|im_end|>\\n' }}{% endif %}{{'<|im_start|>'"
    " + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
    "{% endif %}"
)
TEMPLATES = {
    "SmolLM2": SMOLLM2,
    "literal text": "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{{ m['content'] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}"
    "<|im_start|>assistant\n{% endif %}",
    "attributes and filters": '{% for message in messages %}{{ "<|im_start|>" +'
    ' message.role + "\\n" + message.content | trim + "<|im_end|>\\n" }}'
    '{% endfor %}{% if add_generation_prompt %}{{ "<|im_start|>assistant\\n" }}'
    "{% endif %}",
    "white space control": "{#- ChatML -#}\n\n{%- for message in messages -%}\n"
    "  {{- '<|im_start|>' -}}\n  {{- message['role'] + '\\n' -}}\n"
    "  {{- message['content'].strip() + '<|im_end|>\\n' -}}\n{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}\n  {{- '<|im_start|>assistant\\n' -}}\n"
    "{%- endif -%}\n",
    "blocks on lines of their own": "start\n  {% for message in messages %}\n"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "\t{% endfor %}\n  {# a remark #}\nbefore the prompt\n"
    "{% if add_generation_prompt %}\n<|im_start|>assistant\n{% endif %}\n",
    "kept blanks": "{% for message in messages -%}\n {%+ if loop.index0 == 0 and"
    " messages[0].role != 'system' %} none \n {% endif %}\r\n"
    "{{ message.content }} {% endfor +%}\n \t{%+ if add_generation_prompt %}"
    "\n {% endif %}\n\n",
    "default of the prompt": "{% if not add_generation_prompt is defined %}"
    "{% set add_generation_prompt = false %}{% endif %}" + SMOLLM2,
}
CONVERSATIONS = [
    [],
    [("user", "Hello")],
    [("system", "Be short."), ("user", "Hello")],
    [("user", "  a\n\n"), ("assistant", "{{ b }}"), ("user", "\u3000c\x1c ")],
    [("assistant", "Ｘ 日本"), ("system", "late"), ("user", "")],
]


def main():
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True
    )
    out = []
    for name, source in TEMPLATES.items():
        template = environment.from_string(source)
        cases = []
        for turns in CONVERSATIONS:
            messages = [{"role": r, "content": c} for r, c in turns]
            for prompt in (False, True):
                text = template.render(
                    messages=messages, add_generation_prompt=prompt
                )
                case = {"messages": messages, "prompt": prompt, "text": text}
                cases.append(case)
        out.append({"name": name, "template": source, "cases": cases})
    OUT.write_text(json.dumps(out, indent=1) + "\n")
    print(f"{OUT}: {len(out)} templates")


if __name__ == "__main__":
    main()
