/**
 * @file schema.h  As much of JSON Schema (2020-12) as the project's use
 *
 * A keyword that is not known here fails the test: nothing that a schema
 * promises goes unchecked.
 */
#ifndef CONVOD_TEST_SCHEMA_H
#define CONVOD_TEST_SCHEMA_H

#include <regex.h>
#include <jansson.h>
#include <convod/str.h>
#include "test.h"

struct schema {
	const json_t *root; /* that "#/$defs/NAME" is looked up in */
};

static bool schema_takes(const struct schema *s, const json_t *rule,
			 const json_t *j);

static inline bool schema_is_type(const json_t *j, const char *name)
{
	static const struct {
		const char *name;
		json_type type;
	} typev[] = {
		{"object", JSON_OBJECT},   {"array", JSON_ARRAY},
		{"string", JSON_STRING},   {"null", JSON_NULL},
		{"integer", JSON_INTEGER}, {"number", JSON_INTEGER},
		{"number", JSON_REAL},     {"boolean", JSON_TRUE},
		{"boolean", JSON_FALSE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(typev); i++)
		if (str_eq(typev[i].name, name) &&
		    typev[i].type == json_typeof(j))
			return true;

	return false;
}

static inline bool schema_matches(const char *pattern, const char *s)
{
	regex_t re;
	bool yes;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	yes = !regexec(&re, s, 0, NULL, 0);
	regfree(&re);

	return yes;
}

/** Characters, not bytes */
static inline json_int_t schema_length(const json_t *j)
{
	json_int_t n = 0;

	for (const char *s = json_string_value(j); *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;

	return n;
}

static inline bool schema_any_type(const json_t *types, const json_t *j)
{
	json_t *type;
	size_t i;

	if (json_is_string(types))
		return schema_is_type(j, json_string_value(types));

	json_array_foreach(types, i, type)
	{
		if (schema_is_type(j, json_string_value(type)))
			return true;
	}

	return false;
}

static inline bool schema_has_all(const json_t *names, const json_t *j)
{
	json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
	{
		if (json_is_object(j) &&
		    !json_object_get(j, json_string_value(name)))
			return false;
	}

	return true;
}

static inline bool schema_is_in(const json_t *values, const json_t *j)
{
	json_t *value;
	size_t i;

	json_array_foreach(values, i, value)
	{
		if (json_equal(value, (json_t *)(uintptr_t)j))
			return true;
	}

	return false;
}

/** Members that have a rule of their own, or all others */
static inline bool schema_members(const struct schema *s,
				  const json_t *properties,
				  const json_t *others, const json_t *j)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)j, key, value)
	{
		const json_t *rule = json_object_get(properties, key);

		if (others ? !rule && !schema_takes(s, others, value)
			   : rule && !schema_takes(s, rule, value))
			return false;
	}

	return true;
}

static inline bool schema_names(const struct schema *s, const json_t *rule,
				const json_t *j)
{
	const char *key;
	json_t *value;
	bool yes = true;

	json_object_foreach((json_t *)(uintptr_t)j, key, value)
	{
		json_t *name = json_string(key);

		yes &= schema_takes(s, rule, name);
		json_decref(name);
	}

	return yes;
}

static inline bool schema_items(const struct schema *s, const json_t *rule,
				const json_t *j)
{
	json_t *item;
	size_t i;

	json_array_foreach(j, i, item)
	{
		if (!schema_takes(s, rule, item))
			return false;
	}

	return true;
}

static inline bool schema_any(const struct schema *s, const json_t *rules,
			      const json_t *j)
{
	json_t *rule;
	size_t i;

	json_array_foreach(rules, i, rule)
	{
		if (schema_takes(s, rule, j))
			return true;
	}

	return false;
}

static inline bool schema_ref(const struct schema *s, const char *ref,
			      const json_t *j)
{
	static const char defs[] = "#/$defs/";
	const json_t *rule;

	assert_true(str_starts(ref, defs));
	rule = json_object_get(json_object_get(s->root, "$defs"),
			       ref + sizeof(defs) - 1);
	if (!rule)
		fail_msg("no %s", ref);

	return schema_takes(s, rule, j);
}

static inline bool schema_text(const char *word, const json_t *v,
			       const json_t *j)
{
	if (!json_is_string(j))
		return true;
	if (str_eq(word, "minLength"))
		return schema_length(j) >= json_integer_value(v);
	if (str_eq(word, "maxLength"))
		return schema_length(j) <= json_integer_value(v);

	return schema_matches(json_string_value(v), json_string_value(j));
}

static inline bool schema_number(const char *word, const json_t *v,
				 const json_t *j)
{
	double n = json_number_value(j), limit = json_number_value(v);

	if (!json_is_number(j))
		return true;

	return str_eq(word, "minimum") ? n >= limit : n <= limit;
}

static inline bool schema_word(const struct schema *s, const json_t *rule,
			       const char *word, const json_t *v,
			       const json_t *j)
{
	if (str_eq(word, "$ref"))
		return schema_ref(s, json_string_value(v), j);
	if (str_eq(word, "type"))
		return schema_any_type(v, j);
	if (str_eq(word, "const"))
		return json_equal((json_t *)(uintptr_t)v,
				  (json_t *)(uintptr_t)j);
	if (str_eq(word, "enum"))
		return schema_is_in(v, j);
	if (str_eq(word, "anyOf"))
		return schema_any(s, v, j);
	if (str_eq(word, "required"))
		return schema_has_all(v, j);
	if (str_eq(word, "properties"))
		return schema_members(s, v, NULL, j);
	if (str_eq(word, "additionalProperties"))
		return schema_members(s, json_object_get(rule, "properties"),
				      v, j);
	if (str_eq(word, "propertyNames"))
		return schema_names(s, v, j);
	if (str_eq(word, "items"))
		return schema_items(s, v, j);
	if (str_eq(word, "minLength") || str_eq(word, "maxLength") ||
	    str_eq(word, "pattern"))
		return schema_text(word, v, j);
	if (str_eq(word, "minimum") || str_eq(word, "maximum"))
		return schema_number(word, v, j);
	if (!str_eq(word, "$schema") && !str_eq(word, "$defs") &&
	    !str_eq(word, "title"))
		fail_msg("unknown keyword %s", word);

	return true;
}

/** Does a value keep to a rule of the schema? */
static bool schema_takes(const struct schema *s, const json_t *rule,
			 const json_t *j)
{
	const char *word;
	json_t *v;

	if (json_is_boolean(rule))
		return json_is_true(rule);

	json_object_foreach((json_t *)(uintptr_t)rule, word, v)
	{
		if (!schema_word(s, rule, word, v, j))
			return false;
	}

	return true;
}

#endif
