; JSX: elements that begin with a small letter are the browser's own.

(jsx_attribute (property_identifier) @key)
(jsx_opening_element name: (identifier) @key (#match? @key "^[a-z]"))
(jsx_closing_element name: (identifier) @key (#match? @key "^[a-z]"))
(jsx_self_closing_element name: (identifier) @key (#match? @key "^[a-z]"))
